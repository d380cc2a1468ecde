"""Celery's doors into the limiter: each calls one function."""

from __future__ import annotations

from celery import shared_task

from limiter.upstream import renewal


@shared_task(expires=renewal.EVERY_S)
def refresh_upstream_tokens() -> int:
    """Renew the upstream access tokens that are due soon; how many were."""
    return renewal.refresh_due()
