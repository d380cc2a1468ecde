"""Sending the deliveries that wait: claimed, sent to checked addresses only, tried again, given up.

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

from limiter.alerts.event_types import TEST
from limiter.alerts.kinds.kind import AddressKind, Contact, Mail, Post
from limiter.alerts.message import Message
from limiter.alerts.models import AlertDelivery, AlertHook
from limiter.record import due
from limiter.upstream.pins import Lookup, Pins, session, system_lookup
from quota_platform.base import hosts, versions
from quota_platform.base.kept import kept_text
from quota_platform.base.mail import sending
from quota_platform.base.secrets import SecretUnreadable

MAX_GIVEN_UP = 5
"""Messages given up in a row, with none that arrived between them, before the hook is switched off."""
MAX_S = 20
"""The duration of one attempt at most; its connection has 3 s, each wait for the response 10 s."""
_TIMEOUTS_S = (3.05, 10)
_AT_ONCE = 500

log = logging.getLogger(__name__)

_OFF = kept_text("the hook is switched off")
_SEALED = kept_text("its secret cannot be opened with any of SECRETS_KEYS; make a new secret")
_TOO_SLOW = kept_text("no response in time")
_CERTIFICATE = kept_text("its certificate is not valid")
_NO_CONNECTION = kept_text("no connection")
_ANSWERED = kept_text("answered {status}")
_GONE = kept_text("it wants no more: {reason}")
_GIVEN_UP = kept_text("{count} messages in a row did not arrive: {reason}")
_SWITCHED_OFF = kept_text("Switched off by the platform")


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
    test = delivery.event == TEST
    off = not delivery.hook.enabled and not test
    result = Result(error=_OFF) if off else _attempt(delivery, now, lookup)
    with transaction.atomic():
        delivery.note(now, error=result.error, final=off or test or result.gone, status=result.status)
        if not off and not test:
            _judge(delivery.hook_id, result, given_up=delivery.state == AlertDelivery.State.GIVEN_UP)
    return delivery.state


def try_out(test: AlertDelivery) -> None:
    """Post a test delivery at once; afterwards the row shows the result."""
    post(test.pk)
    test.refresh_from_db()


def _attempt(delivery: AlertDelivery, now: datetime, lookup: Lookup) -> Result:
    hook = delivery.hook
    try:
        contact = _opened(hook)
    except SecretUnreadable:
        return Result(error=_SEALED)
    message = Message.read(delivery.body, uid=delivery.message_id)
    outgoing = hook.contact.outgoing(message, contact, at_s=int(now.timestamp()))
    return _mail(outgoing, delivery) if isinstance(outgoing, Mail) else _post(outgoing, hook, lookup)


def _opened(hook: AlertHook) -> Contact:
    secret = hook.secret() if hook.secret_sealed else ""
    url = secret if hook.contact.address is AddressKind.SECRET_URL else hook.url
    return Contact(hook.uid.hex, url, secret, tuple(hook.recipients))


def _mail(outgoing: Mail, delivery: AlertDelivery) -> Result:
    to = [each for each in outgoing.to if sending.may_be_mailed(each)]
    if not to:
        return Result(error=sending.NOT_LISTED)
    mail = sending.made(subject=outgoing.subject, body=outgoing.text, to=to, uid=delivery.uid)
    return Result(error=sending.send(mail).error)


def _post(outgoing: Post, hook: AlertHook, lookup: Lookup) -> Result:
    listed = settings.ENV.ALERT_HOOK_HOSTS
    query = hook.contact.address is AddressKind.SECRET_URL or outgoing.url != hook.url
    try:
        hosts.check_listed(outgoing.url, listed, setting="ALERT_HOOK_HOSTS", query=query)
        with session(Pins(sandbox_hosts=[each for each in listed if ":" in each], lookup=lookup)) as http:
            response = http.post(
                outgoing.url,
                data=outgoing.body,
                headers=outgoing.headers,
                timeout=_TIMEOUTS_S,
                allow_redirects=False,
                stream=True,  # the response's body is not read
            )
            response.close()
    except hosts.HostRefused as error:
        return Result(error=str(error)[:200])
    except requests.Timeout:
        return Result(error=_TOO_SLOW)
    except requests.exceptions.SSLError:
        return Result(error=_CERTIFICATE)
    except requests.RequestException:
        return Result(error=_NO_CONNECTION)
    if response.status_code < 300:
        return Result(response.status_code)
    return Result(response.status_code, _ANSWERED.format(status=response.status_code), gone=response.status_code == 410)


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
        why = _GONE if result.gone else _GIVEN_UP
        row.enabled, row.stopped_because = False, why.format(count=row.failures, reason=result.error)[:200]
        row._change_reason = _SWITCHED_OFF  # type: ignore[attr-defined]
        log.warning("alert hook %s is switched off: %s", row.name, row.stopped_because)
        row.save()
    else:
        AlertHook.objects.filter(pk=hook_id).update(failures=row.failures)
