"""Celery's doors into reports: each calls one function. All may be missed, or come twice.

A message carries the id of a row at most, and a task ignores arguments that it does not know: while a release is rolled
out messages come from the other one too. Names are what messages of both releases say, wherever the task lives.
"""

from __future__ import annotations

from celery import shared_task

from limiter.reports import build, mail, orders, schedules


@shared_task(name="limiter.tasks.build_export")
def build_export(export_id: str, **_: object) -> bool:
    """Build the file of an export, unless another delivery does."""
    return build.build(export_id)


@shared_task(name="limiter.tasks.order_reports")
def order_reports(**_: object) -> int | None:
    """Order the saved reports that are due."""
    return schedules.order_due()


@shared_task(name="limiter.tasks.mail_reports")
def mail_reports(**_: object) -> int | None:
    """Hand every mail that is due to a worker."""
    return mail.hand_out(lambda pk: mail_report.apply_async((pk,), expires=mail.MAX_S))


@shared_task(name="limiter.tasks.mail_report", soft_time_limit=mail.MAX_S, time_limit=mail.MAX_S + 5)
def mail_report(pk: int, **_: object) -> str | None:
    """Mail one report to one address, unless another delivery of this message does."""
    return mail.send(pk)


@shared_task(name="limiter.tasks.tend_exports")
def tend_exports(**_: object) -> int:
    """Send exports that nobody builds, and delete files whose time is over."""
    return orders.tend()
