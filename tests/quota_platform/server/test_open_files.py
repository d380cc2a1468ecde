"""A web process may open the files that its connections need, whatever it was started with."""

from __future__ import annotations

import resource
from collections.abc import Iterator

import pytest
from pytest_django import Settings

from quota_platform import asgi
from quota_platform.server import open_files
from quota_platform.server.guard import Guard

FEW = 1_000
"""More than the tests have open."""


@pytest.fixture
def hard() -> Iterator[int]:
    """The hard limit of a process that was started with a low soft one."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (FEW, before[1]))
    yield before[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def soft() -> int:
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def test_the_limit_is_raised_as_far_as_is_wanted_and_never_lowered(hard: int) -> None:
    assert (open_files.allow(FEW + 500), soft()) == (FEW + 500, FEW + 500)
    assert (open_files.allow(FEW), soft()) == (FEW + 500, FEW + 500)


def test_the_hard_limit_bounds_it(hard: int) -> None:
    assert (open_files.allow(hard + 1), soft()) == (hard, hard)


def test_a_process_that_starts_with_few_files_has_all_its_connections(
    hard: int, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    state: dict[str, object] = {}
    asgi.guard().keep_in(state)
    assert (Guard.of(state).limits.max_connections, caplog.records) == (settings.ENV.MAX_CONNECTIONS, [])


def test_a_hard_limit_that_is_too_low_is_logged(
    hard: int, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    settings.ENV = settings.ENV.model_copy(update={"MAX_CONNECTIONS": hard})
    assert asgi.guard().limits.max_connections == hard // 2
    assert "hard limit" in caplog.text and str(hard) in caplog.text
