"""The demo's processes: what each is called, how it is started and what it is told."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from quota_platform.demo import environment
from quota_platform.embedded import valkey_command
from quota_platform.env import BASE_DIR
from quota_platform.management.commands import serve

STORE = "valkey"


@dataclass(frozen=True, slots=True)
class Service:
    """One process. ``environment`` holds secrets; they never stand on the command line, which anyone may list."""

    name: str
    command: list[str]
    environment: dict[str, str] = field(repr=False)


def all_of(variables: Mapping[str, str]) -> list[Service]:
    """Every process of a demo with these variables, the store first."""
    platform = environment.for_platform(variables)
    told_all = {**platform, **variables}
    var = Path(variables["VAR_DIR"])
    services = [
        Service("sandbox", manage("cxone_sandbox", "--port", variables["SANDBOX_PORT"]), told_all),
        Service(
            "web",
            serve.command(host="127.0.0.1", port=int(variables["PORT"]), workers=int(variables["WEB_WORKERS"])),
            platform,
        ),
        Service("worker", _celery("worker", "--concurrency", "2", "--without-gossip", "--without-mingle"), platform),
        Service("beat", _celery("beat", "--schedule", str(var / "celerybeat-schedule")), platform),
        Service("welcome", _module("quota_platform.demo.welcome"), told_all),
    ]
    if variables["DEMO_TRAFFIC"] == "1":
        services.append(Service("traffic", _module("quota_platform.demo.traffic"), platform))
    return [*store_of(variables), *services]


def store_of(variables: Mapping[str, str]) -> list[Service]:
    """The embedded store, unless the demo was told to use another."""
    if "VALKEY_PORT" not in variables:
        return []
    line = valkey_command(port=int(variables["VALKEY_PORT"]), directory=store_directory(variables), durable=True)
    return [Service(STORE, line, environment.for_platform(variables))]


def store_directory(variables: Mapping[str, str]) -> Path:
    return Path(variables["VAR_DIR"]) / "valkey"


def manage(*arguments: str) -> list[str]:
    """A command line of Django's."""
    return [sys.executable, str(BASE_DIR / "manage.py"), *arguments]


def _celery(role: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "celery", "-A", "quota_platform", role, "--loglevel", "WARNING", *arguments]


def _module(name: str) -> list[str]:
    return [sys.executable, "-m", name]
