"""No value that releases share is left out of the list of them."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from pathlib import Path

import pytest

from limiter.core import keys

ROOT = Path(__file__).resolve().parents[2]
LISTED = (ROOT / "docs" / "compatibility.md").read_text()
BUILDING_BLOCKS = {"tag", "named", "connection_ids", "pool_in_count", "rules_of"}
READS_JSON_OF_ITS_OWN = {
    "limiter/core/versioned.py": "the one reader",
    "limiter/upstream/discovery.py": "an upstream's answer",
    "limiter/upstream/grants.py": "an upstream's answer",
    "limiter/upstream/outbound.py": "a caller's body",
    "limiter/gateway/content.py": "a caller's body",
    "limiter/gateway/document.py": "a caller's body",
    "limiter/upstream/admin/action_preview.py": "a person's entry",
    "limiter/record/edits.py": "its own text of a line before",
    "limiter/record/anchor_files.py": "a file, handed to its form once the signature was checked",
    "limiter/alerts/message.py": "the body that a receiver gets, stored as it was written",
    "limiter/offline.py": "a file, handed to its form once the signature was checked",
    "limiter/upstream/failures.py": "the body of an upstream's response",
    "limiter/gateway/queue_state.py": "a message in Celery's own format",
    "dashboard/consumers.py": "a page's message",
    "dashboard/asking.py": "a page's request",
    "dashboard/catalogue.py": "a file of this release",
}
"""Files that read JSON without a form, and what that is."""


@pytest.mark.parametrize("name", sorted(dict(inspect.getmembers(keys, inspect.isfunction)).keys() - BUILDING_BLOCKS))
def test_every_key_of_the_store_is_in_the_list(name: str) -> None:
    assert f"`keys.{name}`" in LISTED, "say in docs/compatibility.md who writes and who reads it, and its version"


def sources() -> Iterator[Path]:
    for app in ("limiter", "dashboard"):
        yield from (path for path in (ROOT / app).rglob("*.py") if not {"sandbox", "management"} & set(path.parts))


def test_json_is_read_by_a_form_or_for_a_reason() -> None:
    def reads(path: Path) -> bool:
        calls = (node.func for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call))
        return any(isinstance(each, ast.Attribute) and each.attr == "loads" for each in calls)

    found = {str(path.relative_to(ROOT)) for path in sources() if reads(path)}
    assert found <= READS_JSON_OF_ITS_OWN.keys(), "what processes share is read by limiter/core/versioned.py"
