"""Lua scripts are read in one place."""

from __future__ import annotations

from pathlib import Path

import limiter
from limiter.stores import scripts

ROOT = Path(limiter.__file__).parent.parent


def test_one_module_reads_the_files_of_scripts() -> None:
    modules = (module for package in ("limiter", "dashboard", "tenants") for module in (ROOT / package).rglob("*.py"))
    readers = [module for module in modules if '/ "lua"' in module.read_text()]
    assert readers == [Path(scripts.__file__)]
