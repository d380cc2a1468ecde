"""Celery's doors into alerts: each calls one function. All may be missed, or come twice.

A message carries the id of a row at most, and a task ignores arguments that it does not know: while a release is rolled
out messages come from the other one too. Names are what messages of both releases say, wherever the task lives.
"""

from __future__ import annotations

from celery import shared_task

from limiter.alerts import dispatch, posting, watch


@shared_task(name="limiter.tasks.watch_limits")
def watch_limits(**_: object) -> int | None:
    """Start and end alerts, and have them posted."""
    changed = watch.watch()
    if changed:
        post_alerts.delay()
    return changed


@shared_task(name="limiter.tasks.find_events")
def find_events(**_: object) -> int | None:
    """Find what happened, and have it posted."""
    put = dispatch.find_events()
    if put:
        post_alerts.delay()
    return put


@shared_task(name="limiter.tasks.post_alerts")
def post_alerts(**_: object) -> int | None:
    """Hand every post that is due to a worker."""
    return posting.hand_out(lambda delivery: post_alert.apply_async((delivery,), expires=posting.MAX_S))


@shared_task(name="limiter.tasks.post_alert", soft_time_limit=posting.MAX_S, time_limit=posting.MAX_S + 10)
def post_alert(delivery: int, **_: object) -> str | None:
    """Post one alert to one hook, unless another delivery of this message does."""
    return posting.post(delivery)


@shared_task(name="limiter.tasks.prune_alerts")
def prune_alerts(**_: object) -> int:
    """Delete alerts that ended longer ago than they are kept."""
    return watch.prune()
