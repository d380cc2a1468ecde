"""docs/sandbox.md: every curl line on the page works, and its lists are complete."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from quota_platform.sandbox.conduct import BREACHES
from quota_platform.sandbox.control import ORDERS
from quota_platform.sandbox.endpoints import GROUPS
from quota_platform.sandbox.faults import KINDS
from quota_platform.sandbox.latency import PROFILES
from quota_platform.sandbox.unit_limits import PRESETS
from tests.quota_platform.sandbox.conftest import KEY, Caller

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "sandbox.md").read_text()
CURLS = re.findall(r"^ {4}curl (.+)$", PAGE, re.MULTILINE)


async def test_every_curl_line_works(caller: Caller) -> None:
    assert len(CURLS) > 30
    await caller.control("POST", "access-keys", {"access_key_id": KEY, "access_key_secret": "s"})
    for line in CURLS:
        words = shlex.split(line)
        method = words[words.index("-X") + 1] if "-X" in words else "GET"
        data = words[words.index("-d") + 1] if "-d" in words else ""
        path = next(word for word in words if word.startswith("$SANDBOX")).removeprefix("$SANDBOX")
        reply = await caller.send(method, f"/__sim__{path}", data=data.encode())
        assert reply.status < 300, (line, reply.raw)


@pytest.mark.parametrize(
    "names",
    [BREACHES, PROFILES, PRESETS, list(GROUPS), [n for n in KINDS if not n.startswith("expires_in_")]],
    ids=["breaches", "profiles", "presets", "places", "faults"],
)
def test_every_name_is_on_the_page(names: list[str]) -> None:
    assert [name for name in names if f"`{name}`" not in PAGE] == []


def test_every_order_is_in_the_table() -> None:
    table = PAGE.split("## The control API")[1].split("### Latency")[0]
    assert [name for name in ORDERS if f"/{name}`" not in table] == ["trap"]
