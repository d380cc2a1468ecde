"""Messages to receivers outside: waiting, retried, arrived or given up."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import Any, Self

from django.db import models
from django.db.models import F, QuerySet
from django.utils import timezone

AGAIN_S = (5, 30, 120, 600, 1_800, 7_200, 21_600)
"""Wait after each attempt that failed, more or less a fifth; after one more attempt it is given up."""
LEASE_S = 60
"""An attempt that is not over by then has died, and another is made."""
_SPREAD = 0.2


class Attempted(models.Model):
    """``next_at``: when the next attempt may be made; while one is made, when it counts as lost."""

    class State(models.TextChoices):
        WAITING = "waiting", "waiting"
        ARRIVED = "arrived", "arrived"
        GIVEN_UP = "given_up", "given up"

    state = models.CharField(max_length=8, choices=State.choices, default=State.WAITING)
    attempts = models.PositiveSmallIntegerField(default=0)
    next_at = models.DateTimeField(default=timezone.now)
    error = models.CharField("last error", max_length=200, blank=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        abstract = True

    @classmethod
    def due(cls, now: datetime) -> QuerySet[Self]:
        """What waits for an attempt, the longest first."""
        return cls._default_manager.filter(state=cls.State.WAITING, next_at__lte=now).order_by("next_at")

    @classmethod
    def claim(cls, pk: int, now: datetime) -> bool:
        """Whether this attempt is ours: the worker that moves the time of the next attempt makes this one."""
        lease = now + timedelta(seconds=LEASE_S)
        return cls.due(now).filter(pk=pk).order_by().update(next_at=lease, attempts=F("attempts") + 1) == 1

    @property
    def is_last(self) -> bool:
        """Whether no attempt follows the one that is being made."""
        return self.attempts > len(AGAIN_S)

    def note(self, now: datetime, *, error: str = "", final: bool = False, **fields: Any) -> None:
        """Write down how an attempt went; ``final``: it is not tried again."""
        data: dict[str, Any] = {"error": error[:200], **fields}
        if not error:
            data |= {"state": self.State.ARRIVED, "finished_at": now}
        elif final or self.is_last:
            data |= {"state": self.State.GIVEN_UP, "finished_at": now}
        else:
            wait_s = AGAIN_S[self.attempts - 1] * random.uniform(1 - _SPREAD, 1 + _SPREAD)
            data["next_at"] = now + timedelta(seconds=wait_s)
        for name, value in data.items():
            setattr(self, name, value)
        type(self)._default_manager.filter(pk=self.pk, state=self.State.WAITING).update(**data)
