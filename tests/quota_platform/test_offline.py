"""Verifying files on a machine that has nothing of the platform but its code: no setting, no database, no network."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from limiter.record import anchor_files, signing
from limiter.reports import manifest
from quota_platform import offline
from quota_platform.env import BASE_DIR
from tests.patience import HANG_S

SECRET = "canary-a-secret-of-the-platform-itself"
COMMANDS = ([str(BASE_DIR / "manage.py")], ["-m", "quota_platform"])


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory on a machine without settings."""
    for name in ("SECRET_KEY", "AUDIT_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def public_key(purpose: bytes) -> str:
    return signing.public_key(signing.key(purpose, secret=SECRET))


@pytest.fixture
def exported(bare: Path) -> Path:
    """A file with its manifest beside it."""
    path = bare / "events.csv.gz"
    path.write_bytes(b"rows")
    facts = {"file": path.name, "rows": 4, "bytes": 4, "sha256": manifest.digest(path), "requested_by": "root"}
    facts["public_key"] = public_key(manifest.PURPOSE)
    signed = signing.sign(signing.key(manifest.PURPOSE, secret=SECRET), facts, ascii_only=False)
    (bare / f"{path.name}.manifest.json").write_text(json.dumps(signed))
    return path


@pytest.fixture
def anchors(bare: Path) -> Path:
    """Two days' files."""
    folder, previous = bare / "anchors", None
    folder.mkdir()
    for day in ("2030-05-01", "2030-05-02"):
        path = folder / f"{day}.json"
        facts: dict[str, Any] = {"heads": {}, "previous": previous, "public_key": public_key(anchor_files.PURPOSE)}
        path.write_text(json.dumps(signing.sign(signing.key(anchor_files.PURPOSE, secret=SECRET), facts)))
        previous = {"file": path.name, "sha256": anchor_files.digest(path)}
    return folder


@pytest.mark.parametrize("command", COMMANDS, ids=["manage.py", "python -m quota_platform"])
def test_an_export_is_verified_without_any_setting(exported: Path, command: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, *command, "verify_export", str(exported), "--public-key", public_key(manifest.PURPOSE)],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(BASE_DIR)},
        capture_output=True,
        text=True,
        timeout=HANG_S,
    )
    assert (done.stdout, done.stderr) == ("events.csv.gz: 4 rows, as signed for root.\n", "")
    assert done.returncode == 0


def test_an_altered_export_is_named_and_fails(exported: Path, capsys: pytest.CaptureFixture[str]) -> None:
    exported.write_bytes(b"cows")
    assert offline.run(["verify_export", str(exported), "--public-key", public_key(manifest.PURPOSE)]) == 1
    assert "BROKEN: the file is not the one the manifest was signed for" in capsys.readouterr().err


def test_the_key_inside_the_manifest_proves_nothing(exported: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert offline.run(["verify_export", str(exported)]) == 1
    said, own = capsys.readouterr().err, public_key(manifest.PURPOSE)
    assert "NOT PROVEN: events.csv.gz is the file that its manifest names" in said
    assert f"signed with the key {own}." in said
    assert "--public-key" in said


@pytest.mark.parametrize("name", ["AUDIT_KEY", "SECRET_KEY"])
def test_the_secret_alone_is_enough_to_know_the_key(exported: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, SECRET)
    assert offline.run(["verify_export", str(exported)]) == 0


def test_a_file_that_is_not_there_is_named(bare: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert offline.run(["verify_export", "missing.csv.gz"]) == 1
    assert "Cannot read" in capsys.readouterr().err


def test_a_copy_of_the_anchors_is_verified_without_any_setting(
    anchors: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = ["verify_audit", "--anchors-only", "--anchors", str(anchors)]
    assert offline.run([*line, "--public-key", public_key(anchor_files.PURPOSE)]) == 0
    assert "2 anchors from 2030-05-01.json to 2030-05-02.json are as signed" in capsys.readouterr().out

    (anchors / "2030-05-01.json").unlink()
    assert offline.run([*line, "--public-key", public_key(anchor_files.PURPOSE)]) == 1
    assert "BROKEN: anchor 2030-05-02.json follows 2030-05-01.json, which is missing" in capsys.readouterr().err


@pytest.mark.parametrize("key", [[], ["--public-key", "no key"]])
def test_an_anchor_that_is_no_json_is_named(anchors: Path, key: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    (anchors / "2030-05-01.json").write_text("{")
    assert offline.run(["verify_audit", "--anchors-only", "--anchors", str(anchors), *key]) == 1
    assert "Cannot read" in capsys.readouterr().err


def test_anchors_without_a_key_are_not_proven(anchors: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert offline.run(["verify_audit", "--anchors-only", "--anchors", str(anchors)]) == 1
    assert public_key(anchor_files.PURPOSE) in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["check"], ["verify_audit"], ["verify_audit", "--anchors", "x"]])
def test_every_other_command_goes_its_usual_way(arguments: list[str]) -> None:
    assert offline.run(arguments) is None
