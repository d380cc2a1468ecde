"""The tests' own rule about time: they wait for facts, and every deadline is the one that only ends a hang."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import hypothesis

TESTS = Path(__file__).parent
OUTSIDE = ("bench", "browser/story_pictures.py", "patience.py")
"""The bench measures time, a story lasts minutes, and patience.py has the pause between two looks."""
DELAYS = (
    *("chaos.py", "limiter/upstream/conftest.py", "limiter/upstream/hostile.py"),
    *("limiter/gateway/arrivals.py", "quota_platform/test_killed_platform.py"),
)
"""Where a delay is the fault that a test hands in, or the pace of its calls."""


@cache
def _files() -> dict[str, ast.Module]:
    paths = {path.relative_to(TESTS).as_posix(): path for path in sorted(TESTS.rglob("*.py"))}
    return {name: ast.parse(path.read_text()) for name, path in paths.items() if not name.startswith(OUTSIDE)}


def _calls(tree: ast.Module) -> Iterator[tuple[str, ast.Call]]:
    """Each call with the last part of the name that is called."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            match node.func:
                case ast.Attribute(attr=name) | ast.Name(id=name):
                    yield name, node


def _is_time(node: ast.expr) -> bool:
    """Whether somebody wrote down a time: a number above zero, or a sum with one."""
    numbers = [each.value for each in ast.walk(node) if isinstance(each, ast.Constant)]
    return any(isinstance(number, int | float) and number > 0 for number in numbers)


def test_a_generated_example_may_take_as_long_as_it_takes() -> None:
    """Hypothesis fails one of 200 ms by default."""
    assert hypothesis.settings().deadline is None
    assert hypothesis.settings.get_profile("whole").deadline is None


def test_no_test_sleeps_for_a_time() -> None:
    found = [
        f"{name}:{call.lineno}"
        for name, tree in _files().items()
        for called, call in _calls(tree)
        if called == "sleep" and name not in DELAYS and any(map(_is_time, call.args))
    ]
    assert not found, "wait for the fact instead (tests/patience.py): " + ", ".join(found)


def test_every_deadline_is_the_one_that_only_ends_a_hang() -> None:
    found = []
    for name, tree in _files().items():
        for called, call in _calls(tree):
            written = [keyword.value for keyword in call.keywords if keyword.arg == "timeout"]
            if called in ("timeout", "wait_for"):
                written += call.args[-1:]
            found += [f"{name}:{call.lineno}" for each in written if _is_time(each)]
    assert not found, "use HANG_S of tests/patience.py: " + ", ".join(found)
