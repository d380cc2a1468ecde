"""Settings from outside: the start is refused with every missing name at once, and every one is documented."""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import SecretStr

from quota_platform.demo.settings import DemoSettings
from quota_platform.env import BASE_DIR, Env, MissingSettings, load
from tests.patience import HANG_S

REQUIRED = [name for name, field in Env.model_fields.items() if field.is_required()]


def check(directory: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """`manage.py check` in an empty directory, with these variables only."""
    return subprocess.run(
        [sys.executable, str(BASE_DIR / "manage.py"), "check"],
        cwd=directory,
        env={"PATH": os.environ["PATH"], **variables},
        capture_output=True,
        text=True,
        timeout=HANG_S,
    )


def test_the_start_is_refused_with_every_missing_name_at_once(tmp_path: Path) -> None:
    refused = check(tmp_path)
    assert refused.returncode != 0
    assert {"SECRET_KEY", "SECRETS_KEYS", "DATABASE_URL", "REDIS_URL"} == set(REQUIRED)
    assert all(f"  {name}: " in refused.stderr for name in REQUIRED)
    assert "Traceback" not in refused.stderr


def test_a_wrong_value_is_named_but_not_shown(tmp_path: Path) -> None:
    refused = check(tmp_path, SECRET_KEY="canary-short", WEB_WORKERS="many")
    assert "  SECRET_KEY: " in refused.stderr
    assert "  WEB_WORKERS: " in refused.stderr
    assert "canary-short" not in refused.stderr


def test_an_invalid_network_is_named_at_the_start(tmp_path: Path) -> None:
    refused = check(tmp_path, METRICS_NETWORKS="10.0.0.0/8,scraper.example.com", TRUSTED_PROXIES="10.0.3.1/99")
    assert "  METRICS_NETWORKS: Value error, scraper.example.com is no network" in refused.stderr
    assert "  TRUSTED_PROXIES: Value error, 10.0.3.1/99 is no network" in refused.stderr


def test_tls_in_front_needs_the_proxy_named(tmp_path: Path) -> None:
    settings = {name: os.environ[name] for name in REQUIRED}
    refused = check(tmp_path, BEHIND_TLS="true", **settings)
    assert "BEHIND_TLS needs TRUSTED_PROXIES" in refused.stderr and "Traceback" not in refused.stderr


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("LOG_LEVEL", "'DEBUG', 'INFO', 'WARNING', 'ERROR' or 'CRITICAL'"),
        ("EMAIL_TLS", "'starttls', 'tls' or 'none'"),
        ("DEBUG", "true or false"),
        ("DATABASE_URL", "postgresql://, postgres://, sqlite://"),
    ],
)
def test_a_wrong_choice_is_answered_with_the_choices(monkeypatch: pytest.MonkeyPatch, name: str, wanted: str) -> None:
    monkeypatch.setenv(name, "loud")
    with pytest.raises(MissingSettings) as refusal:
        load()
    assert f"  {name}: " in str(refusal.value)
    assert wanted in str(refusal.value)
    assert "loud" not in str(refusal.value)


def test_a_log_level_may_be_written_in_any_case(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOG_LEVEL", "warning")
    assert load().LOG_LEVEL == "WARNING"


def test_a_setting_may_be_a_file_of_its_name_and_the_environment_is_stronger(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "AUDIT_KEY").write_text("from the file\n")
    (tmp_path / "SECRET_KEY").write_text("not this one, since the environment has another")
    assert load(tmp_path).AUDIT_KEY.get_secret_value() == "from the file"
    assert load(tmp_path).SECRET_KEY.get_secret_value() == os.environ["SECRET_KEY"]
    monkeypatch.delenv("SECRET_KEY")
    assert load(tmp_path).SECRET_KEY.get_secret_value().startswith("not this one")


def test_a_folder_of_secrets_that_is_missing_is_no_mistake(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    assert load(tmp_path / "none").AUDIT_KEY.get_secret_value() == ""
    assert list(recwarn) == []


DOCUMENTED = dict(
    re.findall(r"^\| `([A-Z_]+)` \| ([^|]+) \|", (BASE_DIR / "docs" / "settings.md").read_text(), re.MULTILINE)
)
SETTINGS = {**DemoSettings.model_fields, **Env.model_fields}


def as_documented(name: str) -> str:
    """A setting's default as docs/settings.md writes it."""
    field = SETTINGS[name]
    if field.is_required():
        return "none"
    match field.get_default():
        case "" | []:
            return "empty"
        case SecretStr() as secret:
            return f"`{secret.get_secret_value()}`" if secret.get_secret_value() else "empty"
        case True | False as on:
            switched = {"DEMO_TRAFFIC": "10"}.get(name)
            return f"`{switched[0 if on else 1] if switched else str(on).lower()}`"
        case [*names]:
            return f"`{','.join(names)}`"
        case Path() as path:
            return f"`{path.relative_to(BASE_DIR)}/` beside `manage.py`"
        case value:
            return f"`{value}`"


@pytest.mark.parametrize("name", sorted(SETTINGS))
def test_every_setting_is_documented_with_its_default(name: str) -> None:
    assert DOCUMENTED[name] == as_documented(name)


def test_no_setting_is_documented_that_is_not_there() -> None:
    assert set(DOCUMENTED) == set(SETTINGS)


def test_no_setting_is_declared_by_two_rooms() -> None:
    declared = [name for room in Env.__mro__ for name in inspect.get_annotations(room) if name.isupper()]
    assert sorted(declared) == sorted(Env.model_fields)


def test_rooms_declare_settings_without_django() -> None:
    reading = (
        "import quota_platform, sys; before = {*sys.modules}\n"
        "import quota_platform.env as _; print(*{*sys.modules} - before)"
    )
    read = subprocess.run(
        [sys.executable, "-c", reading], cwd=BASE_DIR, check=True, timeout=HANG_S, capture_output=True, text=True
    )
    assert not [name for name in read.stdout.split() if name.startswith(("django.", "rest_framework"))]


def test_the_example_names_all_that_is_required_and_nothing_unknown() -> None:
    named = re.findall(r"^#? ?([A-Z_]+)=", (BASE_DIR / ".env.example").read_text(), re.MULTILINE)
    assert set(REQUIRED) <= set(named)
    assert set(named) <= {*Env.model_fields, "POSTGRES_PASSWORD"}
