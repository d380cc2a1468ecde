"""The layers are not only drawn: an import that breaks them fails the build."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
LINTER: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
CONTRACTS: list[dict[str, Any]] = LINTER["contracts"]
CONTAINERS = [container for contract in CONTRACTS if contract.get("exhaustive") for container in contract["containers"]]
SIBLINGS = [each.removesuffix(".*") for contract in CONTRACTS for each in contract.get("modules", ())]
"""Rooms whose modules, all of them, import none of each other."""
STATE = re.compile(r"^(.+) (KEPT|BROKEN)$", re.MULTILINE)
HEADING = re.compile(rf"^({'|'.join(re.escape(contract['name']) for contract in CONTRACTS)})\n-+\n", re.MULTILINE)

PLANTED = {
    "Apps": ("tenants.credentials", "limiter.core.types"),
    "Core: no": ("limiter.core.types", "django.conf"),
    "Server: knows": ("quota_platform.server.streaming", "limiter.upstream.errors"),
    "aiohttp": ("limiter.upstream.errors", "aiohttp"),
    "Limiter": ("limiter.clients", "limiter.gateway.gate"),
    "Policies": ("limiter.policies.plan", "limiter.policies.admin.policy"),
    "Record": ("limiter.record.models.event", "limiter.record.chain"),
    "Alerts": ("limiter.alerts.posting", "limiter.alerts.api.hooks"),
    "Incidents": ("limiter.incidents.stretches", "limiter.incidents.following"),
    "Reports": ("limiter.reports.build", "limiter.reports.tasks"),
    "Formats": ("limiter.reports.formats.jsonl", "limiter.reports.formats.xlsx"),
    "Live": ("limiter.live.queries", "limiter.live.cache"),
    "Platform": ("quota_platform.server.guard", "quota_platform.sandbox.counters"),
    "Accounts": ("quota_platform.accounts.settings", "quota_platform.accounts.attempts"),
    "SAML": ("quota_platform.accounts.saml.parked", "quota_platform.accounts.saml.views"),
    "Core: store": ("limiter.core.keys", "limiter.core.window"),
    "Algorithms": ("limiter.core.algorithms.token_bucket", "limiter.core.algorithms.sliding_log"),
    "Gateway": ("limiter.gateway.problems", "limiter.gateway.views"),
    "Upstream": ("limiter.upstream.wire", "limiter.upstream.client"),
    "Outage": ("limiter.outage.alone", "limiter.outage.modes"),
    "Stores": ("limiter.stores.connections", "limiter.stores.pool"),
    "Tenants": ("tenants.presets", "tenants.models.connection"),
    "Demand": ("limiter.demand.packed", "limiter.demand.blocks"),
    "Dashboard": ("dashboard.readings", "dashboard.live"),
    "Base:": ("quota_platform.base.lru", "quota_platform.base.changes"),
    "Base of the admin": ("quota_platform.base.admin.panels", "quota_platform.base.admin.recorded"),
    "Guard": ("quota_platform.base.admin.guard.sent", "quota_platform.base.admin.guard.admin"),
    "Base of the API": ("quota_platform.base.api.tokens", "quota_platform.base.api.resource"),
    "Kinds": ("limiter.alerts.kinds.slack", "limiter.alerts.kinds.teams"),
    "Mail": ("quota_platform.base.mail.settings", "quota_platform.base.mail.sending"),
    "Lean": ("quota_platform.base.lean.request", "quota_platform.base.lean.view"),
    "Server: protocols": ("quota_platform.server.limits", "quota_platform.server.http1"),
    "Sandbox": ("quota_platform.sandbox.log", "quota_platform.sandbox.server"),
    "Demo": ("quota_platform.demo.cast", "quota_platform.demo.seeding"),
    "OpenAPI": ("quota_platform.openapi.schemas", "quota_platform.openapi.gateway"),
}
"""For the contract whose name begins so: a module, and the import in it that the contract forbids."""


def linted(directory: Path) -> tuple[int, set[str], dict[str, str]]:
    """The exit code of the build's check, the contracts that it looked at, and the faults that it finds by contract."""
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"]
    run = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
    kept, _, broken = run.stdout.partition("Broken contracts")
    _, *sections = HEADING.split(broken)
    return (
        run.returncode,
        {name for name, _ in STATE.findall(kept)},
        dict(zip(sections[::2], sections[1::2], strict=True)),
    )


def test_the_code_keeps_every_layer_and_no_contract_makes_an_exception() -> None:
    assert linted(ROOT) == (0, {contract["name"] for contract in CONTRACTS}, {})
    exceptions = {"ignore_imports", "exhaustive_ignores"}
    assert not [contract["name"] for contract in CONTRACTS if exceptions & contract.keys()]


def test_each_contract_finds_the_import_and_the_module_that_it_forbids(tmp_path: Path) -> None:
    """All planted in one copy of the code: a run for each would take most of the time of this suite's small tests."""
    _copy(tmp_path)
    for module, imported in PLANTED.values():
        with (tmp_path / f"{module.replace('.', '/')}.py").open("a") as source:
            source.write(f"\nimport {imported}\n")
    for container in CONTAINERS:
        (tmp_path / container.replace(".", "/") / "unlisted.py").touch()

    code, _, found = linted(tmp_path)

    assert code == 1
    for contract in CONTRACTS:
        name = contract["name"]
        module, imported = next(planted for prefix, planted in PLANTED.items() if name.startswith(prefix))
        forbidden = imported.partition(".")[0] if imported in ("django.conf", "aiohttp") else imported
        assert re.search(rf"{re.escape(module)} -> {re.escape(forbidden)} ", found[name]), (name, found[name])
        for container in contract.get("containers", ()):
            assert f"{container}.unlisted" in found[name], name


def test_every_room_has_a_contract_that_names_all_its_modules() -> None:
    assert sorted(set(_rooms()) - {*CONTAINERS, *SIBLINGS}) == []


def _rooms() -> Iterator[str]:
    """The apps and their rooms. An ``admin``, ``api`` or ``models`` is a layer of its room; the base's have rules."""
    for app in LINTER["root_packages"]:
        for package in sorted((ROOT / app).rglob("__init__.py")):
            parts = package.parent.relative_to(ROOT).parts
            modules = [each for each in package.parent.glob("*.py") if each != package]
            layers = {"models", "management", "migrations", "formats"}
            if parts[:2] != ("quota_platform", "base"):
                layers |= {"admin", "api"}
            if len(modules) > 1 and not layers & {*parts}:
                yield ".".join(parts)


def _copy(target: Path) -> None:
    for app in LINTER["root_packages"]:
        for source in (ROOT / app).rglob("*.py"):
            copied = target / source.relative_to(ROOT)
            copied.parent.mkdir(parents=True, exist_ok=True)
            copied.write_bytes(source.read_bytes())
    (target / "pyproject.toml").write_bytes((ROOT / "pyproject.toml").read_bytes())
