"""Celery's doors into the limiter: each calls one function. All may be missed, or come twice.

A message carries the id of a row at most, and a task ignores arguments that it does not know: while a release is rolled
out messages come from the other one too.
"""

from __future__ import annotations

from celery import shared_task

from limiter.alerts import posting, watch
from limiter.record import keeping
from limiter.reports import build, mail, orders, schedules
from limiter.upstream import renewal


@shared_task
def refresh_upstream_tokens(**_: object) -> int:
    """Renew the upstream access tokens that are due soon; how many were."""
    return renewal.refresh_due()


@shared_task
def store_events(**_: object) -> int | None:
    """Move refusals and changes of multipliers from the store into the database."""
    return keeping.store_events()


@shared_task
def store_usage(**_: object) -> int | None:
    """Move usage from the store into the database."""
    return keeping.store_usage()


@shared_task
def note_overrides(**_: object) -> int | None:
    """Enter the starts and ends of overrides into the record."""
    return keeping.note_overrides()


@shared_task
def watch_limits(**_: object) -> int | None:
    """Start and end alerts, and have them posted."""
    changed = watch.watch()
    if changed:
        post_alerts.delay()
    return changed


@shared_task
def post_alerts(**_: object) -> int | None:
    """Hand every post that is due to a worker."""
    return posting.hand_out(lambda delivery: post_alert.apply_async((delivery,), expires=posting.MOST_S))


@shared_task(soft_time_limit=posting.MOST_S, time_limit=posting.MOST_S + 10)
def post_alert(delivery: int, **_: object) -> str | None:
    """Post one alert to one hook, unless another delivery of this message does."""
    return posting.post(delivery)


@shared_task
def prune_alerts(**_: object) -> int:
    """Delete alerts that ended longer ago than they are kept."""
    return watch.prune()


@shared_task
def anchor_record(**_: object) -> int | None:
    """Sign the heads of all chains into the day's file."""
    return keeping.anchor()


@shared_task
def prune(**_: object) -> int | None:
    """Delete what is older than it is kept."""
    return keeping.prune()


@shared_task
def build_export(export_id: str, **_: object) -> bool:
    """Build the file of an export, unless another delivery does."""
    return build.build(export_id)


@shared_task
def order_reports(**_: object) -> int | None:
    """Order the saved reports that are due."""
    return schedules.order_due()


@shared_task
def mail_reports(**_: object) -> int | None:
    """Hand every mail that is due to a worker."""
    return mail.hand_out(lambda pk: mail_report.apply_async((pk,), expires=mail.MOST_S))


@shared_task(soft_time_limit=mail.MOST_S, time_limit=mail.MOST_S + 5)
def mail_report(pk: int, **_: object) -> str | None:
    """Mail one report to one address, unless another delivery of this message does."""
    return mail.send(pk)


@shared_task
def tend_exports(**_: object) -> int:
    """Send exports that nobody builds, and delete files whose time is over."""
    return orders.tend()
