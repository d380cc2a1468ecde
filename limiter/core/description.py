"""The limits of a stack as one line of text: what an event carries, so that it can be explained when they are gone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import unquote

from limiter.core.types import Algorithm, CountedPer, Limit

_ESCAPED = str.maketrans({"%": "%25", ";": "%3B", "|": "%7C"})
_PARTS = 10


@dataclass(frozen=True, slots=True)
class Described:
    """One limit as it stood. The fields are those of :class:`~limiter.core.types.Limit`."""

    name: str
    policy_name: str
    policy_version: int
    algorithm: str
    counted_per: str
    quota: int
    window_us: int
    burst: int
    shadow: bool
    adaptive: bool


def write(limits: Sequence[Limit]) -> str:
    """``<name>|<policy>|<version>|<algorithm>|<counted per>|<quota>|<window us>|<burst>|<shadow>|<adaptive>;…``."""
    return ";".join(
        f"{limit.name}|{limit.policy_name.translate(_ESCAPED)}|{limit.policy_version}|{limit.algorithm}"
        f"|{limit.counted_per}|{limit.quota}|{limit.window_us}|{limit.burst}|{limit.shadow:d}|{limit.adaptive:d}"
        for limit in limits
    )


def read(text: str) -> list[Described]:
    """What :func:`write` wrote; raises ValueError for anything else."""
    return [_read_one(part) for part in text.split(";")] if text else []


def _read_one(text: str) -> Described:
    parts = text.split("|")
    if len(parts) != _PARTS:
        raise ValueError(f"a limit is described by {_PARTS} parts, not {len(parts)}")
    name, policy, version, algorithm, counted_per, *numbers = parts
    quota, window_us, burst, shadow, adaptive = (int(number) for number in numbers)
    return Described(
        name=name,
        policy_name=unquote(policy),
        policy_version=int(version),
        algorithm=str(Algorithm(algorithm)),
        counted_per=str(CountedPer(counted_per)),
        quota=quota,
        window_us=window_us,
        burst=burst,
        shadow=shadow == 1,
        adaptive=adaptive == 1,
    )
