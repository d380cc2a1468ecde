"""Which tests run in one process of pytest-xdist, and which begin first.

A file's tests stay together, since they share fixtures, and so do all browser tests: they share one platform and one
Chromium, which cost more than the tests. The longest files begin first, so that no process works alone at the end.
"""

from __future__ import annotations

import contextlib
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest
from xdist.scheduler import LoadFileScheduling

TESTS = Path(__file__).parent
PLUGINS = ("tests.postgres", "tests.database_faults")
"""Named in ``pytest_plugins``: pytest rewrites their assertions, but not once somebody has imported them."""

TOGETHER = ("tests/browser/",)
LONGEST = (
    *TOGETHER,
    "tests/limiter/policies/test_admin_policy.py",
    "tests/limiter/core/test_shared_walks.py",
    "tests/quota_platform/test_admin_pages.py",
    "tests/test_admin_versions.py",
    "tests/quota_platform/test_admin_scope.py",
    "tests/tenants/test_admin_connection.py",
    "tests/limiter/core/test_promises.py",
    "tests/releases/test_upgrade.py",
    "tests/test_api_access.py",
    "tests/quota_platform/sandbox/test_server.py",
)


class ByFile(LoadFileScheduling):
    """As ``--dist loadfile``, with the directories of :data:`TOGETHER` as if they were files."""

    def _split_scope(self, nodeid: str) -> str:
        return next(filter(nodeid.startswith, TOGETHER), super()._split_scope(nodeid))


def longest_first(items: list[pytest.Item]) -> None:
    """Move the files of :data:`LONGEST` to the front; all others keep the order of collection."""
    items.sort(key=lambda item: _place(item.nodeid.partition("::")[0]))


@cache
def _place(file: str) -> int:
    return next((at for at, path in enumerate(LONGEST) if file.startswith(path)), len(LONGEST))


def import_in_turn(config: pytest.Config) -> None:
    """Import all test files, each process from another one on: in a fresh checkout they compile them for each other.

    Otherwise all would rewrite the same file's assertions at the same time. A file that cannot be imported is reported
    when it is collected.
    """
    worker = getattr(config, "workerinput", None)
    if worker is None or config.args_source != pytest.Config.ArgsSource.TESTPATHS:
        return
    pytest.register_assert_rewrite(*PLUGINS)
    files = [path.relative_to(TESTS.parent).with_suffix("") for path in sorted(TESTS.rglob("test_*.py"))]
    first = len(files) * int(worker["workerid"].removeprefix("gw")) // worker["workercount"]
    for file in files[first:] + files[:first]:
        with contextlib.suppress(Exception, pytest.skip.Exception):
            import_module(".".join(file.parts))
