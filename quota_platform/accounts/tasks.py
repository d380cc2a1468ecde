"""Celery's doors into mails about accounts. Each is tried again while the mail server fails."""

from __future__ import annotations

from typing import Any

from celery import shared_task

from quota_platform.accounts import mails

_AGAIN_S = 60
_ATTEMPTS = 5


@shared_task(name="limiter.tasks.mail_invitation", bind=True, max_retries=_ATTEMPTS, default_retry_delay=_AGAIN_S)
def mail_invitation(self: Any, /, person: int, language: str = "en", **_: object) -> None:
    """Mail a link to set the first password."""
    if mails.invite(person, language=language):
        raise self.retry()


@shared_task(name="limiter.tasks.mail_reset", bind=True, max_retries=_ATTEMPTS, default_retry_delay=_AGAIN_S)
def mail_reset(self: Any, /, address: str, language: str = "en", **_: object) -> None:
    """Mail a link to a new password to the accounts of this address, if there are any."""
    if mails.send_reset(address, language=language):
        raise self.retry()
