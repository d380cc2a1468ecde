"""Celery's doors into incidents: each calls one function. All may be missed, or come twice."""

from __future__ import annotations

from celery import shared_task

from limiter.incidents import following


@shared_task(name="limiter.tasks.follow_refusals")
def follow_refusals(**_: object) -> int | None:
    """Take stored refusals into incidents, and end those that are over."""
    return following.follow()


@shared_task(name="limiter.tasks.prune_incidents")
def prune_incidents(**_: object) -> int:
    """Delete incidents that ended longer ago than they are kept."""
    return following.prune()
