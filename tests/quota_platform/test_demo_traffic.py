"""Demo traffic: never Acme's, mostly steady, now and then over a limit."""

from __future__ import annotations

import random
from itertools import islice

from quota_platform.demo import cast, traffic
from quota_platform.demo.seeding import GLOBEX_LIMITS


def test_traffic_keeps_to_globex_and_its_actions() -> None:
    seen = list(islice(traffic.steps(random.Random(1)), 1000))
    assert {step.tenant_id for step in seen} == {"globex"}
    assert {step.action for step in seen} == set(cast.GLOBEX.actions)


def test_traffic_is_modest_between_bursts() -> None:
    steady = [step for step in islice(traffic.steps(random.Random(1)), 1000) if step.calls == 1]
    rate = len(steady) / sum(step.pause_seconds for step in steady)
    assert 3 < rate < 5


def test_bursts_are_rare_and_larger_than_the_plan_allows() -> None:
    bursts = [step for step in islice(traffic.steps(random.Random(1)), 1200) if step.calls > 1]
    burst = next(limit["burst"] for limit in GLOBEX_LIMITS if limit["name"] == "burst")
    assert len(bursts) == 10
    assert all(step.calls > burst for step in bursts)  # type: ignore[operator]  # the table's values are objects


async def test_every_call_of_a_step_is_made() -> None:
    made: list[str] = []

    async def call(step: traffic.Step) -> None:
        made.append(step.action)

    steps = [traffic.Step(0, "globex", "lookupOrder"), traffic.Step(0, "globex", "createCase", calls=3)]
    await traffic.play(iter(steps), call=call)
    assert sorted(made) == ["createCase"] * 3 + ["lookupOrder"]
