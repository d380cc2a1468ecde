"""Lua scripts are read in one place."""

from __future__ import annotations

from pathlib import Path

import limiter
from limiter.stores import scripts
from limiter.stores.scripts import Script

ROOT = Path(limiter.__file__).parent.parent


def test_one_module_reads_the_files_of_scripts() -> None:
    modules = (module for package in ("limiter", "dashboard", "tenants") for module in (ROOT / package).rglob("*.py"))
    readers = [module for module in modules if '/ "lua"' in module.read_text()]
    assert readers == [Path(scripts.__file__)]


def test_a_file_stands_where_its_function_is_called_and_those_in_it_too(tmp_path: Path) -> None:
    files = {
        "whole": "if #ARGV > 0 then\n  few()\nend\nreturn fewer()\n",
        "few": "local a = fewer() + fewest\n",
        "fewer": "return #'\\0'\n",
    }
    (tmp_path / "lua").mkdir()
    for name, source in files.items():
        (tmp_path / "lua" / f"{name}.lua").write_text(source)
    script = Script(str(tmp_path / "module.py"), "whole", inline=("few", "fewer"))
    fewer = "(function()\nreturn #'\\0'\nend)()"
    assert script.source.decode() == (f"if #ARGV > 0 then\ndo\nlocal a = {fewer} + fewest\nend\nend\nreturn {fewer}\n")
