"""Handing out messages that are due to be sent outside."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from django.utils import timezone

from limiter.record import runs
from quota_platform.base.models.attempted import Attempted


def hand_out(
    task: str, model: type[Attempted], pass_on: Callable[[int], object], *, at_once: int, now: datetime | None
) -> int | None:
    """Give the key of every row that is due to ``pass_on``; how many, or None when ``task`` is at it already."""
    due = model.due(now or timezone.now())

    def each() -> int:
        waiting = list(due.values_list("pk", flat=True)[:at_once])
        for pk in waiting:
            pass_on(pk)
        return len(waiting)

    return runs.alone(task, lambda client: each(), at_most_s=60)
