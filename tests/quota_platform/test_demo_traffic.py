"""Demo traffic: never Acme's, mostly steady, now and then over a limit or near one."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import islice

import pytest

from quota_platform.demo import cast, traffic
from quota_platform.demo.seeding import GLOBEX_LIMITS


def timed(count: int, *, seed: int) -> Iterator[tuple[traffic.TrafficStep, float]]:
    """Steps, each with the second it is made at."""
    at_s = 0.0
    for step in islice(traffic.steps(random.Random(seed)), count):
        at_s += step.pause_seconds
        yield step, at_s


def test_traffic_keeps_to_globex_and_its_actions() -> None:
    seen = list(islice(traffic.steps(random.Random(1)), 1000))
    assert {step.tenant_id for step in seen} == {"globex"}
    assert {step.action for step in seen} == set(cast.GLOBEX.actions)


def test_traffic_is_modest_between_bursts_and_surveys() -> None:
    quiet = [step for step, at_s in timed(1000, seed=1) if step.calls == 1 and not traffic.survey_runs(at_s)]
    rate = len(quiet) / sum(step.pause_seconds for step in quiet)
    assert 3 < rate < 5


def test_bursts_are_rare_and_larger_than_the_plan_allows() -> None:
    steps = [(step, at_s) for step, at_s in timed(3000, seed=1) if at_s < 300]
    bursts = [step for step, _ in steps if step.calls > 1]
    burst = next(limit["burst"] for limit in GLOBEX_LIMITS if limit["name"] == "burst")
    assert 8 <= len(bursts) <= 12
    assert all(step.calls > burst for step in bursts)  # type: ignore[operator]  # the table's values are objects


@pytest.mark.parametrize("seed", range(5))
def test_a_survey_nearly_uses_up_its_limit_every_few_minutes(seed: int) -> None:
    quota = next(limit["quota"] for limit in GLOBEX_LIMITS if limit["name"] == "minute")
    assert isinstance(quota, int)
    calls = [at_s for step, at_s in timed(12_000, seed=seed) if step.action == traffic.SURVEY and step.calls == 1]
    for start_s in (traffic.SURVEY_FIRST_S + n * traffic.SURVEY_EVERY_S for n in range(3)):
        minute = sum(start_s <= at_s < start_s + 60 for at_s in calls)
        assert 0.8 * quota < minute < 1.15 * quota


async def test_every_call_of_a_step_is_made() -> None:
    made: list[str] = []

    async def call(step: traffic.TrafficStep) -> None:
        made.append(step.action)

    steps = [traffic.TrafficStep(0, "globex", "lookupOrder"), traffic.TrafficStep(0, "globex", "createCase", calls=3)]
    await traffic.play(iter(steps), call=call)
    assert sorted(made) == ["createCase"] * 3 + ["lookupOrder"]
