"""The controllers' bench: its simulated unit is one, its scores are right, and its Python is what the scripts do."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from limiter.core.store import Store
from limiter.stores.pipeline import Address
from tests.bench import report
from tests.bench.control import __main__ as bench
from tests.bench.control import scenarios
from tests.bench.control.contenders import CONTENDERS
from tests.bench.control.controllers import SETTINGS, InFlight, Learned
from tests.bench.control.run import Fate, run
from tests.bench.control.scores import max_min, score
from tests.bench.control.stored import Direct, StoredLearned, now
from tests.bench.control.unit import Scenario, calls

HALVED = Scenario("halved-5", "a short one", 30, warm_s=15, after_s=15, servers=lambda t: 0.5 if 0 <= t < 30 else 1.0)


@pytest.fixture
def direct(redis_url: str) -> Iterator[Store]:
    store = Store(Direct(Address.from_url(redis_url).port))
    yield store
    now(store.close())


def test_the_learned_limit_is_the_same_in_python_and_in_the_scripts_sample_for_sample(direct: Store) -> None:
    made = calls(HALVED, 1)
    pure, stored = Learned(), StoredLearned(direct, SETTINGS)
    assert run(HALVED, made, pure) == run(HALVED, made, stored)
    assert [(s.mode, s.limit, s.rate, s.p95_us) for s in pure.states] == [
        (s.mode, s.limit, s.rate, s.p95_us) for s in stored.states
    ]
    assert len({state.mode for state in pure.states}) >= 3, "something was learned"


@pytest.mark.parametrize("name", ["seed-window", "seed-bucket", "seed-in-flight"])
def test_the_seed_s_rule_is_the_same_in_python_and_in_the_scripts(direct: Store, name: str) -> None:
    contender = CONTENDERS[name]
    assert contender.stored is not None
    short = replace(HALVED, warm_s=3, disturbed_s=15, after_s=2)
    made = calls(short, 2)
    assert run(short, made, contender.make()) == run(short, made, contender.stored(direct))


@pytest.mark.parametrize("name", CONTENDERS)
def test_every_controller_plays(name: str) -> None:
    contender = CONTENDERS[name]
    fates = run(HALVED, calls(HALVED, 1), contender.make(**contender.tuned))
    assert sum(fate.latency_us is not None for fate in fates) > 100


def mean(fates: list[Fate], of: Callable[[Fate], float]) -> float:
    return sum(map(of, fates)) / len(fates)


def test_a_unit_that_is_not_loaded_takes_its_service_time() -> None:
    quiet = Scenario("quiet", "nothing", 600, warm_s=0, after_s=0, demand=lambda t: 0.1)
    fates = run(quiet, calls(quiet, 1), InFlight())
    assert mean(fates, lambda fate: fate.latency_us or 0) == pytest.approx(200_000, rel=0.05)
    assert mean(fates, lambda fate: fate.waited_us) < 1000


def test_a_unit_that_is_overloaded_is_good_to_those_that_a_limit_lets_in() -> None:
    crowd = Scenario("crowd", "three times too many", 120, warm_s=0, after_s=0, demand=lambda t: 4.0)
    free, limited = (score(crowd, run(crowd, calls(crowd, 1), InFlight(limit))) for limit in (1_000, 8))
    assert free.good < 2 and free.over > 0.9
    assert 18.5 < limited.good < 21 and limited.over < 0.1
    assert limited.idle == 0


@pytest.mark.parametrize("seed", [1, 2])
def test_a_trial_of_a_long_queue_refuses_everybody_for_two_seconds_at_most(seed: int) -> None:
    """Sixty calls are in flight when a quarter of the servers is left. Half of those that end are replaced."""
    few = Scenario("quarter", "a quarter is left", 40, warm_s=30, after_s=0, servers=lambda t: 0.25 if t >= 0 else 1.0)
    fates = run(few, calls(few, seed), Learned())
    admitted = [fate.at_us for fate in fates if not fate.refused]
    assert max(after - before for before, after in pairwise(admitted)) <= 2_500_000
    assert sum(fate.refused for fate in fates) > 100


def test_a_table_is_written_for_each_scenario(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    document = tmp_path / "control.md"
    document.write_text(f"# By hand\n{report.BEGIN}\n{report.END}\n")
    monkeypatch.setitem(scenarios.BY_NAME, "halved-5", HALVED)
    monkeypatch.setattr(bench, "ORACLES", (6,))
    arguments = ["--scenarios", "halved-5", "--controllers", "learned", "none", "--seeds", "1", "1", "--jobs", "1"]
    monkeypatch.setattr(sys, "argv", ["bench", *arguments, "--stored", "--out", str(document)])

    bench.main()

    assert "| did cutting help?, led by p95 (ours) |" in document.read_text()
    assert "halved-5: recovery, s" in capsys.readouterr().out


def test_a_max_min_fair_share_gives_the_meek_all_and_the_others_alike() -> None:
    assert max_min({0: 40, 1: 2, 2: 40}, 42) == {0: 20, 1: 2, 2: 20}
    assert max_min({0: 3, 1: 2}, 5) == {0: 3, 1: 2}
    assert max_min({}, 0) == {}


@pytest.mark.parametrize(
    ("admitted", "jain", "least"),
    [({0: 10, 1: 10}, 1.0, 1.0), ({0: 20, 1: 0}, 0.5, 0.0), ({0: 15, 1: 5}, 0.8, 0.5)],
    ids=["alike", "one gets all", "one gets three times as much"],
)
def test_fairness_is_one_where_tenants_that_ask_alike_get_alike(
    admitted: dict[int, int], jain: float, least: float
) -> None:
    second = 1_000_000
    fates = [
        Fate(n * second // 2, tenant, refused=n >= most, latency_us=1)
        for tenant, most in admitted.items()
        for n in range(20)
    ]
    found = score(replace(HALVED, warm_s=0, disturbed_s=10, after_s=0), fates)
    assert found.jain == pytest.approx(jain)
    assert found.least == pytest.approx(least)
