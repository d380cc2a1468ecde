"""Celery's doors into the way upstream: each calls one function. All may be missed, or come twice.

A message carries the id of a row at most, and a task ignores arguments that it does not know: while a release is rolled
out messages come from the other one too. Names are what messages of both releases say, wherever the task lives.
"""

from __future__ import annotations

from celery import shared_task

from limiter.upstream import renewal


@shared_task(name="limiter.tasks.refresh_upstream_tokens")
def refresh_upstream_tokens(**_: object) -> int:
    """Renew the upstream access tokens that are due soon; how many were."""
    return renewal.refresh_due()
