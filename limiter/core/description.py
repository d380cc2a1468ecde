"""The limits of a stack as one line of text: what an event carries, so that it can be explained when they are gone."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import unquote

from limiter.core import values
from limiter.core.types import Limit
from limiter.core.versioned import Form

_WORD = re.compile(r"[a-z_]{1,32}")
_ESCAPED = str.maketrans({"%": "%25", ";": "%3B", "|": "%7C"})
_PARTS = 10
_OF_SHARE = ("refused", "share", "used", "owed")
_SHARE = "|\x01|||\x03"
"""Its even part stands behind the two parts of a limit that counts by a value, which cannot be shared."""
_VALUE = "\x02"


@dataclass(frozen=True, slots=True)
class Described:
    """One limit as it stood. The fields are those of :class:`~limiter.core.types.Limit`.

    ``algorithm`` and ``counted_per`` may be words that only a newer release knows: they are kept as they came.
    """

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
    share: dict[str, int] | None = None
    """Of a shared limit: what of it refused (:class:`~limiter.core.sharing.Refused`), share, used and owed units.

    And its even part, ``even``, which 0.2.0 did not write.
    """
    counted_by: str = ""
    """The header or JSON Pointer by whose values it counts."""
    value: str = ""
    """The first digits of the digest of the call's own; or what stands for it (:mod:`limiter.core.values`)."""


def write(limits: Sequence[Limit]) -> str:
    """``<name>|<policy>|<version>|<algorithm>|<counted per>|<quota>|<window us>|<burst>|<shadow>|<adaptive>;…``.

    A shared limit has one part more, in whose place the script writes the state of the share, and a fourth one for its
    even part. One that counts by a value has two more behind the first: by which, and the digest's first digits; the
    script writes a ``+`` before these when the value was above the bound.
    """
    return FORM.marked(
        ";".join(
            f"{limit.name}|{limit.policy_name.translate(_ESCAPED)}|{limit.policy_version}|{limit.algorithm}"
            f"|{limit.counted_per}|{limit.quota}|{limit.window_us}|{limit.burst}|{limit.shadow:d}|{limit.adaptive:d}"
            f"{_SHARE if limit.share else ''}{_by_value(limit) if limit.counted_by else ''}"
            for limit in limits
        )
    )


def _by_value(limit: Limit) -> str:
    return f"||{limit.counted_by.translate(_ESCAPED)}|{_VALUE}{limit.value[: values.SHOWN]}"


def read(text: str) -> list[Described]:
    """What :func:`write` wrote, of whichever release; raises ``Unreadable``, a ValueError, for anything else."""
    return FORM.text(text)


def _read(text: str) -> list[Described]:
    return [_read_one(part) for part in text.split(";")] if text else []


def _read_one(text: str) -> Described:
    parts = text.split("|")
    if len(parts) < _PARTS:
        raise ValueError(f"a limit is described by {_PARTS} parts, not {len(parts)}")
    name, policy, version, algorithm, counted_per, *numbers = parts[:_PARTS]
    if not _WORD.fullmatch(algorithm) or not _WORD.fullmatch(counted_per):
        raise ValueError("a limit's algorithm and its scope are words")
    quota, window_us, burst, shadow, adaptive = (int(number) for number in numbers)
    return Described(
        name=name,
        policy_name=unquote(policy),
        policy_version=int(version),
        algorithm=algorithm,
        counted_per=counted_per,
        quota=quota,
        window_us=window_us,
        burst=burst,
        shadow=shadow == 1,
        adaptive=adaptive == 1,
        share=_share(*parts[_PARTS::3][:2]) if len(parts) > _PARTS else None,
        counted_by=unquote(parts[_PARTS + 1]) if len(parts) > _PARTS + 2 else "",
        value=_value(parts[_PARTS + 2]) if len(parts) > _PARTS + 2 else "",
    )


def _share(text: str, even: str = "") -> dict[str, int] | None:
    """None where the script did not refuse: a worker alone writes the parts unchanged."""
    numbers = text.split(",")
    if len(numbers) != len(_OF_SHARE) or not all(number.isdigit() for number in numbers):
        return None
    found = dict(zip(_OF_SHARE, map(int, numbers), strict=True))
    return found | {"even": int(even)} if even.isdigit() else found


def _value(text: str) -> str:
    """A worker alone leaves the mark as it is."""
    return values.OTHERS if text.startswith(values.OTHERS) else text.removeprefix(_VALUE)


FORM = Form("description of limits", {1: _read})
"""A part more of a limit is ignored here, but the first release takes ten parts and no more."""
