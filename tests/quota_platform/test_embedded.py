"""The embedded store: always the server that ships unless a setting names another, and never silent when it fails."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import redis

from quota_platform import embedded

OLDER = """#!/bin/sh
[ "$1" = --version ] && { echo "Redis server v=7.0.15 sha=00000000:0"; exit; }
echo "Bad file format reading the append only file"
exit 1
"""
"""A server that cannot read what a newer one wrote."""


@pytest.fixture
def older(tmp_path: Path) -> Path:
    return program(tmp_path / "bin" / "redis-server", OLDER)


def program(path: Path, text: str) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """A directory with data of the server that ships."""
    directory = tmp_path / "data"
    server = embedded.start_valkey(directory=directory, durable=True)
    with redis.Redis.from_url(server.url) as client:
        client.set("kept", 1)
    server.stop()
    return directory


def test_a_server_on_the_path_is_never_started(older: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(older.with_name("valkey-server"), OLDER)
    monkeypatch.setenv("PATH", f"{older.parent}:{os.environ['PATH']}")

    assert not embedded.valkey_binary().startswith(str(tmp_path))
    assert "ships with the platform" in embedded.chosen_server()


def test_a_server_that_the_setting_names_is_started_and_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wrapper = program(tmp_path / "bin" / "mine", f'#!/bin/sh\nexec "{embedded.valkey_binary()}" "$@"\n')
    monkeypatch.setenv(embedded.SETTING, str(wrapper))

    server = embedded.start_valkey(directory=tmp_path / "data")

    server.stop()
    assert f"({wrapper}, as VALKEY_SERVER says)" in embedded.chosen_server()


def test_a_setting_that_names_no_program_is_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(embedded.SETTING, str(tmp_path / "missing"))

    with pytest.raises(embedded.DidNotStart, match="VALKEY_SERVER names no program that can be run"):
        embedded.start_valkey(directory=tmp_path)


def test_a_store_that_does_not_start_is_quoted_and_the_writer_of_its_data_named(
    older: Path, written: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = embedded.version(embedded.valkey_binary())
    monkeypatch.setenv(embedded.SETTING, str(older))

    with pytest.raises(embedded.DidNotStart) as failure:
        embedded.start_valkey(directory=written, durable=True)

    message = str(failure.value)
    assert "Redis 7.0.15" in message
    assert "ended at once with exit code 1. Its last words:\n  Bad file format" in message
    assert f"were written by {ours}; Redis 7.0.15 may be unable to read them" in message
    assert failure.value.writer == ours


def test_a_store_with_data_of_its_own_is_quoted_alone(written: Path) -> None:
    with pytest.raises(embedded.DidNotStart) as failure:
        embedded.start_valkey(directory=written, durable=True, extra=("--maxmemory-policy", "no-such-policy"))

    assert "no-such-policy" in str(failure.value), "the server's own words"
    assert failure.value.writer == ""
