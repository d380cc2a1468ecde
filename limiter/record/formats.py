"""What the hash of a chained row covers, format by format. A released format never changes.

Every row names the format it was written in, and its hash covers the columns listed here for that format, in this
order, whatever the model has today. A new column goes into a new format, or into ``LEFT_OUT`` with the reason; the
system check fails until it is in one of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from django.core.checks import CheckMessage, Error
from django.db.models import Model

from limiter.record.models import AuditEntry, ThrottleEvent

Columns = tuple[str, ...]

COVERED: Mapping[type[Model], Mapping[int, Columns]] = {
    AuditEntry: {
        1: ("tenant_id", "position", "kind", "at", "actor", "payload", "once", "previous_hash"),
    },
    ThrottleEvent: {
        1: (
            *("stream_id", "at", "first_at", "count", "tenant_id", "action_id", "key_prefix", "request_id"),
            *("decision_id", "policy_name", "policy_version", "limit_name", "used", "quota", "effective_limit"),
            *("multiplier", "cost", "retry_after_ms", "shadow", "limits", "p95_ms", "p95_samples", "threshold_ms"),
            "position",
        ),
    },
}
"""Model -> format -> columns. From format 2 on ``format`` itself has to be among them."""

_SAME = {
    "id": "the database's own number; the position orders the chain, and a copy may number its rows anew",
    "hash": "it is the hash",
    "format": "format 1 was released before rows named it; a row that names another format has another hash",
}
LEFT_OUT: dict[type[Model], Mapping[str, str]] = {AuditEntry: _SAME, ThrottleEvent: _SAME}
"""Columns that the newest format does not cover, each with the reason."""


class Unknown(ValueError):
    """A row names a format that this release does not know: a newer one wrote it, or somebody altered it."""


def newest(model: type[Model]) -> int:
    """The format that rows are written in."""
    return max(COVERED[model])


def covered(model: type[Model], number: int) -> Columns:
    """The columns that a row's hash covers; raises :class:`Unknown`."""
    try:
        return COVERED[model][number]
    except KeyError:
        known = ", ".join(map(str, COVERED[model]))
        raise Unknown(
            f"names format {number}, and this release knows {known}: check it with the release that wrote it"
        ) from None


def check(**_: Any) -> list[CheckMessage]:
    """Django's system check: every column of a chained model is covered or left out for a reason."""
    return [fault for model in COVERED for fault in faults(model, COVERED[model], LEFT_OUT[model])]


def faults(model: type[Model], formats: Mapping[int, Columns], left_out: Mapping[str, str]) -> Iterator[CheckMessage]:
    """The faults in a model's lists."""
    columns = {field.attname for field in model._meta.concrete_fields}
    last = max(formats)
    for name in sorted(columns - {*formats[last], *left_out}):
        yield _error(
            model,
            f"The hash of a row covers '{name}' in no list.",
            f"Add format {last + 1} with '{name}' to COVERED, or name it in LEFT_OUT with the reason.",
        )
    for number, names in formats.items():
        for name in sorted({*names} - columns):
            yield _error(
                model,
                f"Format {number} covers '{name}', which the model does not have.",
                "Keep the column: rows of a released format are verified for ever.",
            )
        if number > 1 and "format" not in names:
            yield _error(model, f"Format {number} does not cover 'format'.", "Add it to the list.")
    for name in sorted({*left_out} & {*formats[last]} | {*left_out} - columns):
        yield _error(model, f"'{name}' is left out, but it is covered or gone.", "Take it off LEFT_OUT.")


def _error(model: type[Model], message: str, hint: str) -> CheckMessage:
    return Error(message, hint=f"limiter/record/formats.py: {hint}", obj=model, id="limiter.E001")
