"""An algorithm's object in Python agrees with the scripts, and stands in its own module only."""

import re
from pathlib import Path

import pytest

from limiter.core import algorithms, shape
from limiter.core.algorithms import HOLDING, RULES
from limiter.core.types import CONCURRENCY_HINT_US, COUNTER_SLICES, PPM
from limiter.outage.alone import FLOOD

ROOT = Path(__file__).parents[3]
LUA = ROOT / "limiter/core/lua"
BESIDE = Path(algorithms.__file__).parent
ASKS = re.compile(r"\bkind [=~]= '(\w)'")
"""Where a script goes by the algorithm; a test holds the places that CONTRIBUTING.md and the map name."""
DECIDE, GIVE_BACK = ((LUA / f"{name}.lua").read_text() for name in ("decide", "give_back"))


def numbers(name: str) -> set[int]:
    """The values that the scripts give a constant: ``local NAME = 1``, ``local OTHER, NAME = 1, 2``."""
    found = set()
    for source in (each.read_text() for each in (*LUA.glob("*.lua"), *BESIDE.glob("*.lua"))):
        for names, values in re.findall(r"^local ([A-Z_, ]+) = ([\d., ]+)", source, re.MULTILINE):
            pairs = dict(zip(names.split(", "), values.strip().split(", "), strict=True))
            if name in pairs:
                found.add(int(pairs[name]))
    return found


@pytest.mark.parametrize(
    ("name", "value"),
    [("PPM", PPM), ("SLICES", COUNTER_SLICES), ("FLOOD", FLOOD), ("CONCURRENCY_HINT_US", CONCURRENCY_HINT_US)],
)
def test_constants_of_the_scripts_are_those_of_python(name: str, value: int) -> None:
    assert numbers(name) == {value}


@pytest.mark.parametrize("name", ["EVENTS_KEPT", "KEEP_SECONDS"])
def test_constants_are_the_same_in_every_script(name: str) -> None:
    assert len(numbers(name)) == 1


@pytest.mark.parametrize("source", [DECIDE, GIVE_BACK], ids=["decide", "give_back"])
def test_a_limit_is_packed_as_the_scripts_unpack_it(source: str) -> None:
    [unpacked] = re.findall(r"local LIMIT = '<([\w]+)'", source)
    codes = {"c1": "c", "I8": "Q", "B": "B"}
    assert shape._LIMIT.format == "<" + "".join(codes[part] for part in re.findall(r"c1|I8|B", unpacked))


def test_a_shared_limit_is_unpacked_in_one_go_as_in_two() -> None:
    limit, share, both = (
        re.findall(rf"local {name} = '<(\w+)'", DECIDE)[0] for name in ("LIMIT", "SHARED", "LIMIT_AND_SHARED")
    )
    assert both == limit + share
    assert f"local LIMIT_BYTES = {shape._LIMIT.size}\n" in DECIDE


def test_every_algorithm_has_a_letter_and_a_label_of_its_own() -> None:
    assert (
        len({rules.letter for rules in RULES.values()}) == len({rules.label for rules in RULES.values()}) == len(RULES)
    )


def test_stored_letters_stay_what_they_were() -> None:
    letters = {name: rules.letter for name, rules in RULES.items()}
    kept = {"sliding_log": "l", "sliding_counter": "s", "token_bucket": "b", "concurrency": "c"}
    assert kept.items() <= letters.items()


@pytest.mark.parametrize("place", [0, 1, 2], ids=["look", "wait while limits change", "charge"])
def test_every_place_of_the_deciding_script_has_a_branch_for_every_letter(place: int) -> None:
    part = re.split(r"local function until_passes|-- Charge all", DECIDE)[place]
    slots = RULES["concurrency"].letter  # The last branch names no letter.
    branches = sorted(ASKS.findall(part))
    assert sorted([*branches, slots]) == sorted(rules.letter for rules in RULES.values())


def test_no_script_but_the_deciding_one_asks_for_a_letter() -> None:
    asking = {source.stem for source in (*LUA.glob("*.lua"), *BESIDE.glob("*.lua")) if ASKS.search(source.read_text())}
    assert asking == {"decide"}


def test_an_algorithm_that_holds_units_unlike_a_window_brings_how_it_does() -> None:
    unlike = {name for name, rules in RULES.items() if rules.reserves and not rules.is_window}
    brings = {each.stem: each.read_text() for each in BESIDE.glob("*.lua") if "holding = holding" in each.read_text()}
    assert brings.keys() == unlike
    assert all("return fits, after, finder" in part for part in brings.values())
    assert [f"holding.{RULES[name].letter} = " in HOLDING.decode() for name in RULES] == [n in unlike for n in RULES]


def test_each_algorithm_gives_back_its_units_unless_they_are_slots_and_says_what_it_holds_if_it_has_a_forecast() -> (
    None
):
    parts = {source.stem: source.read_text() for source in BESIDE.glob("*.lua")}
    assert parts.keys() == {name for name, rules in RULES.items() if not rules.holds_slots}
    assert all("give_back = give_back" in part for part in parts.values())
    assert {name for name, part in parts.items() if "held = held" in part} == {
        name for name, rules in RULES.items() if rules.forecasts
    }


def test_only_the_objects_ask_which_algorithm_a_limit_has() -> None:
    asks = re.compile(rf"(==|!=|in|case) [({{[]*[\"']({'|'.join(RULES)})[\"']")
    rooms = [path for room in ("limiter", "dashboard", "quota_platform") for path in (ROOT / room).rglob("*.*")]
    sources = [path for path in rooms if path.suffix in (".py", ".js") and "migrations" not in path.parts]
    assert [path.name for path in sources if asks.search(path.read_text())] == []
    assert asks.search('if limit.algorithm in ("sliding_log", "token_bucket"):')
