"""The demo's processes: their names, commands and environments."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from quota_platform import roles
from quota_platform.demo import environment
from quota_platform.embedded import valkey_command

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
    all_reported = {**platform, **variables}
    var = Path(variables["VAR_DIR"])
    services = [
        _sandbox(variables, platform),
        _web(variables, platform),
        Service("worker", [*roles.worker(), "--concurrency", "2"], platform),
        Service("beat", [*roles.beat(), "--schedule", str(var / "celerybeat-schedule")], platform),
        Service("welcome", _module("quota_platform.demo.welcome"), all_reported),
    ]
    if variables["DEMO_TRAFFIC"] == "1":
        services.append(Service("traffic", _module("quota_platform.demo.traffic"), platform))
    return [*store_of(variables), *services]


def _web(variables: Mapping[str, str], platform: dict[str, str]) -> Service:
    """No load balancer has to notice the shutdown, and a person who pressed Ctrl-C does not want to wait."""
    workers, pages_workers = int(variables["WEB_WORKERS"]), int(variables["PAGES_WORKERS"])
    line = roles.web(workers=workers, pages_workers=pages_workers, stop_grace_s=5)
    command = [*line, "--port", variables["PORT"]]
    return Service("web", command, {**platform, "DRAIN_SECONDS": "0"})


def _sandbox(variables: Mapping[str, str], platform: dict[str, str]) -> Service:
    client = f"{variables['SANDBOX_CLIENT_ID']}:{variables['SANDBOX_CLIENT_SECRET']}"
    kept = Path(variables["VAR_DIR"]) / "sandbox-accounts.json"
    command = [*roles.sandbox(), "--port", variables["SANDBOX_PORT"], "--accounts", str(kept)]
    return Service("sandbox", command, {**platform, "SANDBOX_CLIENTS": client})


def store_of(variables: Mapping[str, str]) -> list[Service]:
    """The embedded store, unless the demo is configured to use another."""
    if "VALKEY_PORT" not in variables:
        return []
    line = valkey_command(port=int(variables["VALKEY_PORT"]), directory=store_directory(variables), durable=True)
    return [Service(STORE, line, environment.for_platform(variables))]


def store_directory(variables: Mapping[str, str]) -> Path:
    return Path(variables["VAR_DIR"]) / "valkey"


def _module(name: str) -> list[str]:
    return [sys.executable, "-m", name]
