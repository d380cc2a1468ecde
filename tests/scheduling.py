"""Which tests run in one process of pytest-xdist, and which begin first.

A file's tests stay together, since they share fixtures, and so do all browser tests: they share one platform and one
Chromium, which cost more than the tests. The longest files begin first, so that no process works alone at the end.
"""

from __future__ import annotations

import pytest
from xdist.scheduler import LoadFileScheduling

TOGETHER = ("tests/browser/",)
LONGEST = (
    *TOGETHER,
    "tests/quota_platform/test_demo_run.py",
    "tests/dashboard/test_two_workers.py",
    "tests/limiter/core/test_walks.py",
    "tests/test_api_contract.py",
    "tests/quota_platform/test_admin_pages.py",
    "tests/limiter/policies/test_admin_policy.py",
)


class ByFile(LoadFileScheduling):
    """As ``--dist loadfile``, with the directories of :data:`TOGETHER` as if they were files."""

    def _split_scope(self, nodeid: str) -> str:
        return next(filter(nodeid.startswith, TOGETHER), super()._split_scope(nodeid))


def longest_first(items: list[pytest.Item]) -> None:
    """Move the files of :data:`LONGEST` to the front; all others keep the order of collection."""
    items.sort(key=lambda item: next((at for at, path in enumerate(LONGEST) if item.nodeid.startswith(path)), 999))
