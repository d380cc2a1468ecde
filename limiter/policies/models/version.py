"""When a policy's version rises: once per edit, however many of its lines the edit touches."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from django.db import models
from simple_history.models import HistoricalRecords


@dataclass(slots=True)
class _Edit:
    """The edit under way: why it is made, and the version it has given to each policy so far."""

    reason: str
    given: dict[int, int] = field(default_factory=dict)


_edit: ContextVar[_Edit | None] = ContextVar("policy_edit", default=None)


@contextmanager
def one_version(reason: str = "") -> Iterator[None]:
    """Everything saved or deleted inside belongs to one edit: each policy it touches rises by one version.

    Without it every single save of a policy or limit is an edit of its own. ``reason`` is written to the history of
    all that is touched. Inside another ``one_version`` this one adds nothing.
    """
    if _edit.get() is not None:
        yield
        return
    token = _edit.set(_Edit(reason))
    try:
        yield
    finally:
        _edit.reset(token)


def give(policy_id: int, version: int) -> None:
    """Remember that the edit under way has raised this policy to ``version``."""
    edit = _edit.get()
    if edit is not None:
        edit.given[policy_id] = version


def is_given(policy_id: int, version: int) -> bool:
    """Whether the edit under way has raised this policy already.

    The version is compared, not only the policy: after a savepoint was rolled back the stored version is the old one
    again, and the next save has to raise it.
    """
    edit = _edit.get()
    return edit is not None and edit.given.get(policy_id) == version


class EditRecords(HistoricalRecords):
    """History whose change reason is that of the edit under way, unless the row brings its own."""

    def get_change_reason_for_object(self, instance: models.Model, history_type: str, using: Any) -> str | None:
        own: str | None = super().get_change_reason_for_object(instance, history_type, using)
        edit = _edit.get()
        return own or (edit.reason if edit and edit.reason else None)


class LimitHistory(models.Model):
    """What the history of a limit holds beyond the limit itself: the version of the policy that its change made.

    Versions, not clocks, tell which limits an earlier version had: a clock may step back.
    """

    policy_version = models.PositiveIntegerField(default=1, editable=False)

    class Meta:
        abstract = True
