"""What must hold on PostgreSQL too: test files run again there, and those that only make sense there."""

from __future__ import annotations

from collections.abc import Callable

pytest_plugins = ["tests.postgres"]

FILES = (
    "tests/tenants/test_changes.py",
    "tests/tenants/commit_order.py",
    "tests/tenants/test_scope.py",
    "tests/test_api_scope.py",
    "tests/test_deletion.py",
    "tests/limiter/live/test_snapshot.py",
    "tests/limiter/live/test_snapshot_faults.py",
    "tests/limiter/test_policy_version.py",
    "tests/limiter/alerts/test_watch.py",
    "tests/limiter/record/test_events.py",
    "tests/limiter/record/test_usage.py",
    "tests/limiter/record/test_edits.py",
    "tests/limiter/record/test_verify.py",
    "tests/limiter/record/test_formats.py",
    "tests/limiter/record/test_retention.py",
    "tests/limiter/reports/test_build.py",
    "tests/limiter/record/concurrent_drainers.py",
    "tests/limiter/record/refused_rows.py",
    "tests/dashboard/test_live.py",
    "tests/dashboard/test_news.py",
    "tests/dashboard/test_stream.py",
)


def test_they_hold_on_postgres(on_postgres: Callable[..., None]) -> None:
    on_postgres(*FILES)
