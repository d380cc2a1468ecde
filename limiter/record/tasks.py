"""Celery's doors into the record: each calls one function. All may be missed, or come twice.

A message carries the id of a row at most, and a task ignores arguments that it does not know: while a release is rolled
out messages come from the other one too. Names are what messages of both releases say, wherever the task lives.
"""

from __future__ import annotations

from celery import shared_task

from limiter.record import keeping


@shared_task(name="limiter.tasks.store_events")
def store_events(**_: object) -> int | None:
    """Move refusals and changes of multipliers from the store into the database."""
    return keeping.store_events()


@shared_task(name="limiter.tasks.store_usage")
def store_usage(**_: object) -> int | None:
    """Move usage from the store into the database."""
    return keeping.store_usage()


@shared_task(name="limiter.tasks.note_overrides")
def note_overrides(**_: object) -> int | None:
    """Enter the starts and ends of overrides into the record."""
    return keeping.note_overrides()


@shared_task(name="limiter.tasks.anchor_record")
def anchor_record(**_: object) -> int | None:
    """Sign the heads of all chains into the day's file."""
    return keeping.anchor()


@shared_task(name="limiter.tasks.prune")
def prune(**_: object) -> int | None:
    """Delete rows past their retention."""
    return keeping.prune()
