"""How the Python that runs this was built, for ``make``, the image's build and the bench's reports.

It imports nothing but the standard library, because ``make`` asks it of interpreters that have nothing else:
``python3 -I quota_platform/interpreter.py [--venv] [--optimized]`` exits with 0 if that Python will do.
"""

from __future__ import annotations

import importlib.util
import platform
import sys
import sysconfig
from collections.abc import Mapping

_PROFILED = ("-fprofile-use", "-fprofile-instr-use")
_DEBIAN = ("'--prefix=/usr'", "'--without-ensurepip'", "'--with-dbmliborder=bdb:gdbm'")
"""Debian and Ubuntu build with a profile and LTO, and take both out of what sysconfig says."""
_FLAGS = ("CFLAGS", "PY_CFLAGS", "PY_CFLAGS_NODIST", "PY_CORE_CFLAGS", "CONFIGURE_CFLAGS_NODIST")


def is_optimized(build: Mapping[str, object]) -> bool:
    """Whether CPython was built with a profile of its own runs (PGO) and not for debugging.

    The same call costs a Python without one up to a quarter more processor time.
    """
    if build.get("Py_DEBUG"):
        return False
    arguments, flags = _words(build)
    return "--enable-optimizations" in arguments or any(flag in flags for flag in _PROFILED) or _is_debian(arguments)


def describe(build: Mapping[str, object]) -> str:
    """One line: version, compiler, and what of the build decides how fast it is. It names no path."""
    arguments, flags = _words(build)
    levels = [flag for flag in flags.split() if flag.startswith("-O")]
    parts = [
        "optimized" if is_optimized(build) else "not optimized (built without --enable-optimizations)",
        "LTO" if "--with-lto" in arguments or "-flto" in flags or _is_debian(arguments) else "no LTO",
        *levels[-1:],
        *(["shared library"] if "--enable-shared" in arguments and not _is_debian(arguments) else []),
        *(["as Debian packages it"] if _is_debian(arguments) else []),
    ]
    name = f"{platform.python_implementation()} {platform.python_version()}"
    return ", ".join([name, platform.python_compiler(), *parts])


def main(arguments: list[str]) -> int:
    """0 if this Python can carry the platform, and is what the arguments ask for."""
    build = sysconfig.get_config_vars()
    print(describe(build))
    asked = {
        # Debian keeps ensurepip in python3-venv; without it no virtual environment can be made.
        "--venv": lambda: importlib.util.find_spec("ensurepip") is not None,
        "--optimized": lambda: is_optimized(build),
    }
    return 0 if sys.version_info >= (3, 11) and all(asked[name]() for name in arguments) else 1


def _words(build: Mapping[str, object]) -> tuple[str, str]:
    return str(build.get("CONFIG_ARGS") or ""), " ".join(str(build.get(name) or "") for name in _FLAGS)


def _is_debian(arguments: str) -> bool:
    return all(word in arguments for word in _DEBIAN)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
