"""``demo.json`` and the greeting: what machines and people learn about the running demo."""

from __future__ import annotations

import json
import shlex
import stat
from pathlib import Path
from typing import Any

import pytest

from quota_platform.demo import facts

VARIABLES = {
    "PORT": "8123",
    "SANDBOX_HOSTS": "127.0.0.1:8801",
    "DEMO_ADMIN_PASSWORD": "pass-a",
    "DEMO_SUPERVISOR_PASSWORD": "pass-s",
    "REDIS_URL": "redis://127.0.0.1:1/0",
    "DATABASE_URL": "sqlite:////tmp/demo.sqlite3",
}
TOKENS = {"acme": "qk_a", "globex": "qk_g", "initech": "qk_i", "hooli": "qk_h", "platform": "qk_p"}


@pytest.fixture
def known() -> dict[str, Any]:
    return facts.facts(VARIABLES, tokens=TOKENS)


def test_demo_json_holds_exactly_what_was_promised(known: dict[str, Any]) -> None:
    assert list(known) == [
        "base_url",
        "admin",
        "supervisor",
        "tenants",
        "platform_key",
        "sandbox",
        "redis_url",
        "database_url",
    ]
    assert known["base_url"] == "http://127.0.0.1:8123"
    assert known["admin"] == {"url": "http://127.0.0.1:8123/admin/", "username": "admin", "password": "pass-a"}
    assert set(known["supervisor"]) == {"url", "username", "password"}
    assert set(known["sandbox"]) == {"url", "control_url"}
    assert known["platform_key"] == "qk_p"


def test_every_tenant_comes_with_its_key_and_actions(known: dict[str, Any]) -> None:
    assert [(t["tenant_id"], t["api_key"]) for t in known["tenants"]] == [
        ("acme", "qk_a"),
        ("globex", "qk_g"),
        ("initech", "qk_i"),
        ("hooli", "qk_h"),
    ]
    assert all(t["actions"] and set(t) == {"tenant_id", "api_key", "actions"} for t in known["tenants"])


def test_the_file_is_closed_to_others_and_forgotten_at_the_end(tmp_path: Path, known: dict[str, Any]) -> None:
    facts.write(tmp_path, known)
    path = tmp_path / "demo.json"
    assert json.loads(path.read_text()) == known
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    facts.forget(tmp_path)
    assert not path.exists()


def test_forgetting_facts_that_were_never_written_is_no_error(tmp_path: Path) -> None:
    facts.forget(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_greeting_names_every_address_and_sign_in(tmp_path: Path, known: dict[str, Any]) -> None:
    text = facts.greeting(known, var=tmp_path)
    for wanted in ("/dashboard/", "/admin/", "/api/docs/", "admin / pass-a", "supervisor / pass-s", "qk_a"):
        assert wanted in text
    assert f"The 101st call within a minute gets a 429. {tmp_path / facts.FILE} contains all of the above." in text


def test_the_curl_line_is_one_command_in_a_shell(known: dict[str, Any]) -> None:
    words = shlex.split(facts.curl(known["base_url"], key="qk_a", action="lookupOrder"))
    assert words[0] == "curl"
    assert "http://127.0.0.1:8123/invoke/lookupOrder" in words
    assert "Authorization: Bearer qk_a" in words
    assert json.loads(words[-1])
