"""What must hold on PostgreSQL too: test files run again there, and those that only make sense there.

``python -m tests.on_postgres`` starts an embedded server for the run, as ``make test-postgres`` does.
Arguments go to pytest.
"""

from __future__ import annotations

import os
import subprocess
import sys

from tests.postgres import impatient_postgres

FILES = (
    "tests/quota_platform/base/test_changes.py",
    "tests/quota_platform/base/commit_order.py",
    "tests/tenants/concurrent_writers.py",
    "tests/tenants/test_scope.py",
    "tests/test_api_scope.py",
    "tests/test_deletion.py",
    "tests/test_threads.py",
    "tests/test_odd_input.py",
    "tests/tenants/test_one_case.py",
    "tests/limiter/live/test_cold_tenants.py",
    "tests/limiter/live/test_queries.py",
    "tests/limiter/live/test_snapshot.py",
    "tests/limiter/live/test_snapshot_faults.py",
    "tests/limiter/policies/test_policy_version.py",
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
    "tests/releases/test_upgrade.py",
    "tests/dashboard/test_live.py",
    "tests/dashboard/test_news.py",
    "tests/dashboard/test_stream.py",
)


def main(arguments: list[str]) -> int:
    """Run the files with pytest, or only what ``arguments`` name; returns its exit code."""
    named = any(not argument.startswith("-") for argument in arguments)
    with impatient_postgres() as url:
        command = [sys.executable, "-m", "pytest", "-q", "-n", "2", "--dist", "loadfile"]
        ran = subprocess.run(
            [*command, *arguments, *(() if named else FILES)], env={**os.environ, "TEST_DATABASE_URL": url}, check=False
        )
    return ran.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
