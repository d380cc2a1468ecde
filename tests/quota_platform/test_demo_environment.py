"""The demo's variables: secrets are made once and kept, and only their owner can read them."""

from __future__ import annotations

import socket
import stat
import subprocess
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from quota_platform.demo import environment, settings
from quota_platform.demo.settings import DemoSettings
from quota_platform.embedded import free_port
from quota_platform.env import MissingSettings

SECRETS = (
    "SECRET_KEY",
    "SECRETS_KEYS",
    "METRICS_TOKEN",
    "DEMO_ADMIN_PASSWORD",
    "DEMO_SUPERVISOR_PASSWORD",
    "SANDBOX_CLIENT_SECRET",
)


@pytest.fixture(autouse=True)
def _of_a_newcomer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who starts the demo has set nothing."""
    for name in ("METRICS_TOKEN", "SANDBOX_HOSTS"):
        monkeypatch.delenv(name, raising=False)


def chosen(var: Path, **values: object) -> DemoSettings:
    return DemoSettings.model_validate({"VAR_DIR": var, "REDIS_URL": "", "DATABASE_URL": "", **values})


def test_a_second_start_finds_the_secrets_and_ports_of_the_first(tmp_path: Path) -> None:
    first = environment.prepare(chosen(tmp_path))
    assert environment.prepare(chosen(tmp_path)) == first


def test_two_demos_share_no_secret(tmp_path: Path) -> None:
    one, other = (environment.prepare(chosen(tmp_path / name)) for name in ("one", "other"))
    assert all(one[name] != other[name] for name in SECRETS)


def test_secrets_are_long_enough_to_be_secrets(tmp_path: Path) -> None:
    variables = environment.prepare(chosen(tmp_path))
    assert all(len(variables[name]) >= 16 for name in SECRETS)
    Fernet(variables["SECRETS_KEYS"])


def test_files_with_secrets_are_closed_to_others(tmp_path: Path) -> None:
    var = tmp_path / "var"
    environment.prepare(chosen(var))
    assert stat.S_IMODE((var / environment.FILE).stat().st_mode) == 0o600
    assert stat.S_IMODE(var.stat().st_mode) == 0o700


def test_no_draft_of_the_file_is_left(tmp_path: Path) -> None:
    environment.prepare(chosen(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == [environment.FILE]


def test_a_kept_port_that_is_taken_gives_way(tmp_path: Path) -> None:
    first = environment.prepare(chosen(tmp_path))
    with socket.create_server(("127.0.0.1", int(first["SANDBOX_PORT"]))):
        second = environment.prepare(chosen(tmp_path))
    assert second["SANDBOX_PORT"] != first["SANDBOX_PORT"]
    assert second["SANDBOX_HOSTS"] == f"127.0.0.1:{second['SANDBOX_PORT']}"


def test_a_store_and_a_database_of_ones_own_are_respected(tmp_path: Path) -> None:
    variables = environment.prepare(
        chosen(tmp_path, REDIS_URL="redis://cache.test:6379/3", DATABASE_URL="postgresql://db.test/quota")
    )
    assert variables["REDIS_URL"] == "redis://cache.test:6379/3"
    assert variables["DATABASE_URL"] == "postgresql://db.test/quota"
    assert "VALKEY_PORT" not in variables


def test_a_shell_and_the_next_start_read_the_same_from_the_file(tmp_path: Path) -> None:
    url = "postgresql://quota:it's a $ecret@db.test/quota?sslmode=require&application_name=demo"
    variables = environment.prepare(chosen(tmp_path, DATABASE_URL=url))
    shell = subprocess.run(
        ["sh", "-c", '. "$1"; printf %s "$DATABASE_URL"', "sh", str(tmp_path / environment.FILE)],
        capture_output=True,
        text=True,
    )
    assert shell.stdout == environment.read(tmp_path)["DATABASE_URL"] == url
    assert environment.read(tmp_path) == variables


def test_the_platform_does_not_get_the_passwords(tmp_path: Path) -> None:
    data = environment.for_platform(environment.prepare(chosen(tmp_path)))
    assert "SECRET_KEY" in data
    assert not {"DEMO_ADMIN_PASSWORD", "DEMO_SUPERVISOR_PASSWORD", "SANDBOX_CLIENT_SECRET"} & set(data)


def test_every_setting_that_the_demo_does_not_make_itself_reaches_its_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {"PUBLIC_URL": "https://quota.example.com", "EVENTS_KEPT_DAYS": "7", "METRICS_TOKEN": "m" * 20}
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    data = environment.for_platform(environment.prepare(chosen(tmp_path)))
    assert {name: data[name] for name in given} == given


def test_hosts_that_a_person_adds_stand_behind_the_demo_s_own_sandbox(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SANDBOX_HOSTS", "127.0.0.1:9001, 127.0.0.1:9002")
    monkeypatch.setenv("ALERT_HOOK_HOSTS", "127.0.0.1:9,hooks.example.com")
    variables = environment.prepare(chosen(tmp_path))
    own = f"127.0.0.1:{variables['SANDBOX_PORT']}"
    assert variables["SANDBOX_HOSTS"] == f"{own},127.0.0.1:9001,127.0.0.1:9002"
    assert environment.sandbox_address(variables) == own
    assert variables["ALERT_HOOK_HOSTS"] == f"{own},127.0.0.1:9,hooks.example.com"


def test_a_port_is_free_until_somebody_listens() -> None:
    port = free_port()
    assert environment.is_free(port)
    with socket.create_server(("127.0.0.1", port)):
        assert not environment.is_free(port)


def test_every_wrong_choice_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"PORT": "http", "WEB_WORKERS": "0", "DEMO_TRAFFIC": "sometimes"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(MissingSettings) as refusal:
        settings.load()
    message = str(refusal.value)
    assert all(name in message for name in ("PORT", "WEB_WORKERS", "DEMO_TRAFFIC"))
