"""Posting what waits in the outbox: claimed, signed, sent to checked addresses only, tried again, given up.

A message arrives at least once: a worker that dies between the post and the note of it leaves the message to be posted
again, with the same id and body.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

import requests
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from limiter.alerts import signature
from limiter.alerts.models import AlertDelivery, AlertHook
from limiter.record import due
from limiter.upstream.pins import Lookup, Pins, session, system_lookup
from quota_platform.base import hosts, versions
from quota_platform.base.secrets import SecretUnreadable

MAX_GIVEN_UP = 5
"""Messages given up in a row, with none that arrived between them, before the hook is switched off."""
MAX_S = 20
"""What one attempt may take in all; its connection has 3 s, each wait for the answer 10 s."""
_TIMEOUTS_S = (3.05, 10)
_AT_ONCE = 500

log = logging.getLogger(__name__)


class Result(NamedTuple):
    """How an attempt went. ``error`` is empty when it arrived; ``gone``: the receiver wants no more."""

    status: int | None = None
    error: str = ""
    gone: bool = False


def hand_out(send: Callable[[int], object], *, now: datetime | None = None) -> int | None:
    """Give every message that is due to ``send``; how many, or None when somebody else is at it."""
    return due.hand_out("post_alerts", AlertDelivery, send, at_once=_AT_ONCE, now=now)


def post(pk: int, *, now: datetime | None = None, lookup: Lookup = system_lookup) -> str | None:
    """Make one attempt to post a message; its state afterwards, or None when it was not its turn."""
    now = now or timezone.now()
    if not AlertDelivery.claim(pk, now):
        return None
    delivery = AlertDelivery.objects.select_related("hook").get(pk=pk)
    test = delivery.event == AlertDelivery.Event.TEST
    off = not delivery.hook.enabled and not test
    result = Result(error="the hook is switched off") if off else _attempt(delivery, now, lookup)
    with transaction.atomic():
        delivery.note(now, error=result.error, final=off or test or result.gone, status=result.status)
        if not off and not test:
            _judge(delivery.hook_id, result, given_up=delivery.state == AlertDelivery.State.GIVEN_UP)
    return delivery.state


def try_out(test: AlertDelivery) -> None:
    """Post a test that was put into the outbox at once; afterwards it says how that went."""
    post(test.pk)
    test.refresh_from_db()


def _attempt(delivery: AlertDelivery, now: datetime, lookup: Lookup) -> Result:
    hook, body = delivery.hook, delivery.body.encode()
    listed = settings.ENV.ALERT_HOOK_HOSTS
    try:
        hosts.check_listed(hook.url, listed, setting="ALERT_HOOK_HOSTS")
        signed = signature.headers(hook.secret(), message_id=delivery.message_id, at_s=int(now.timestamp()), body=body)
        with session(Pins(sandbox_hosts=[each for each in listed if ":" in each], lookup=lookup)) as http:
            response = http.post(
                hook.url,
                data=body,
                headers={"Content-Type": "application/json", **signed},
                timeout=_TIMEOUTS_S,
                allow_redirects=False,
                stream=True,  # what it answers is not read
            )
            response.close()
    except hosts.HostRefused as error:
        return Result(error=str(error)[:200])
    except SecretUnreadable:
        return Result(error="its secret cannot be opened with any of SECRETS_KEYS; make a new secret")
    except requests.Timeout:
        return Result(error="no answer in time")
    except requests.exceptions.SSLError:
        return Result(error="its certificate is not valid")
    except requests.RequestException:
        return Result(error="no connection")
    if response.status_code < 300:
        return Result(response.status_code)
    return Result(response.status_code, f"answered {response.status_code}", gone=response.status_code == 410)


def _judge(hook_id: int, result: Result, *, given_up: bool) -> None:
    """Forgive a hook that listens; switch off one that does not."""
    row = versions.locked(AlertHook.objects.filter(pk=hook_id)).get()
    if not result.error:
        if row.failures:
            AlertHook.objects.filter(pk=hook_id).update(failures=0)
        return
    if not given_up:
        return
    row.failures += 1
    if result.gone or row.failures >= MAX_GIVEN_UP:
        why = "it wants no more" if result.gone else f"{row.failures} messages in a row did not arrive"
        row.enabled, row.stopped_because = False, f"{why}: {result.error}"[:200]
        row._change_reason = "Switched off by the platform"  # type: ignore[attr-defined]
        log.warning("alert hook %s is switched off: %s", row.name, row.stopped_because)
        row.save()
    else:
        AlertHook.objects.filter(pk=hook_id).update(failures=row.failures)
