"""What a call costs that is turned away before any decision, beside one that is admitted."""

from __future__ import annotations

import dataclasses
import secrets
import string
from collections import Counter
from statistics import median

from tenants import credentials
from tests.bench.contenders.contender import ALLOWED, REFUSED
from tests.bench.effort import Effort
from tests.bench.findings import TIMES, Findings, Reach, Table
from tests.bench.load import BODY, Target
from tests.bench.side_by_side import Round, turn
from tests.bench.stage import Stage

_KEYS = 20_000
"""Different made-up keys: more than a worker remembers."""


def measure(stage: Stage, effort: Effort) -> Findings:
    contender = stage.contenders["gateway"]
    targets = _targets(contender.targets[ALLOWED]) | {"refused by a limit": contender.targets[REFUSED]}
    rounds: dict[str, list[Round]] = {name: [] for name in targets}
    for number in range(effort.rounds + 1):
        for name, target in targets.items():
            seen = _turn(stage, target, effort)
            if number:  # the first one warms up
                rounds[name].append(seen)
    cpu = {name: median(one.cpu_us for one in seen) for name, seen in rounds.items()}
    admitted = cpu["admitted"]
    rows = [[name, _statuses(rounds[name]), f"{cpu[name]:,.0f} µs", f"{cpu[name] / admitted:.2f}"] for name in targets]
    how = (
        f"{effort.connections} connections from one address, {effort.rounds} rounds of {effort.seconds:g} s in turn;"
        " medians. Calls with keys that are none get a 401 until MAX_FAILED_KEYS_PER_MINUTE is used up,"
        " then 429; those from many networks 503, once many were looked up in vain."
    )
    worst = max(value for name, value in cpu.items() if name != "admitted")
    return Findings(
        tables=[
            Table(
                "What a rejected call costs",
                how,
                ("Call", "answers", "server CPU per call", "beside an admitted one"),
                rows,
            )
        ],
        reaches=[
            Reach(
                "processor time of the dearest rejected call beside an admitted one",
                worst / admitted,
                1.0,
                TIMES,
                most=True,
            )
        ],
    )


def _targets(admitted: Target) -> dict[str, Target]:
    """Calls by their fault."""
    plain = dataclasses.replace(admitted, headers={})
    twisted = {"X-API-Key": admitted.headers["X-API-Key"][::-1]}
    return {
        "admitted": admitted,
        "no key": plain,
        "malformed key": dataclasses.replace(admitted, headers=twisted),
        "made-up key, checksum wrong": dataclasses.replace(plain, each=_made_up(wrong="x")),
        "made-up key, checksum right": dataclasses.replace(plain, each=_made_up()),
        "made-up key of the old form": dataclasses.replace(plain, each=_made_up(marked=False)),
        "the same from 20,000 networks": dataclasses.replace(plain, each=_made_up(marked=False, addresses=_KEYS)),
        "unknown action": dataclasses.replace(admitted, path="/invoke/nothing"),
        "no such address": dataclasses.replace(admitted, path="/invoke/no/such"),
        "no such page": dataclasses.replace(plain, method="GET", path="/wp-login.php"),
        "no such page, for a browser": dataclasses.replace(
            plain, method="GET", path="/wp-login.php", headers={"Accept": "text/html", "Accept-Language": "de-AT,de"}
        ),
        "no such route of the management API": dataclasses.replace(plain, method="GET", path="/api/nothing/"),
        "wrong method": dataclasses.replace(admitted, method="GET"),
        "body that is no JSON": dataclasses.replace(admitted, body=BODY[:-1]),
        "body too large": dataclasses.replace(admitted, headers={**admitted.headers, "Content-Length": "999999"}),
        "Idempotency-Key that is none": dataclasses.replace(
            admitted, headers={**admitted.headers, "Idempotency-Key": "x" * 300}
        ),
        "header that is none": dataclasses.replace(admitted, headers={**admitted.headers, "X Y": "1"}),
    }


def _made_up(*, marked: bool = True, wrong: str = "", addresses: int = 0) -> list[dict[str, str]]:
    """Keys that nobody has; without mark and checksum as they once were. ``wrong`` stands in for the checksum's end.

    ``addresses``: from so many networks, as a trusted proxy reports them.
    """
    letters = string.ascii_lowercase + string.digits
    keys = []
    for number in range(_KEYS):
        body = f"qk_{''.join(secrets.choice(letters) for _ in range(12))}_{secrets.token_urlsafe(32)}"
        if marked:
            body += "".join(secrets.choice(letters) for _ in range(6))
            body += credentials.checksum(body)
        sent = {"X-API-Key": body[: -len(wrong)] + wrong if wrong else body}
        if addresses:
            sent["X-Forwarded-For"] = f"2001:db8:{number % addresses:x}::1"
        keys.append(sent)
    return keys


def _statuses(rounds: list[Round]) -> str:
    """The responses, the usual first."""
    seen: Counter[int] = sum((one.load.statuses for one in rounds), Counter())
    return ", ".join(str(status) for status, _ in seen.most_common(3))


def _turn(stage: Stage, target: Target, effort: Effort) -> Round:
    contender = dataclasses.replace(stage.contenders["gateway"], targets={ALLOWED: target})
    return turn(stage, contender, ALLOWED, connections=effort.connections, seconds=effort.seconds)
