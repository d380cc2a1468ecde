"""What a team does about an alert or incident: acknowledge, mute, note, assign, hand over. Everyone sees it at once.

Each act is stored, entered into the tenant's audit record, and done, in one transaction. Pages and API call this.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from limiter.alerts import mutes
from limiter.alerts.models import Alert
from limiter.core import versioned
from limiter.core.versioned import Form
from limiter.incidents.models import Incident, TeamEntry
from limiter.incidents.models.entry import MAX_TEXT
from limiter.incidents.stretches import Row
from limiter.record import chain
from limiter.record.chain import Draft
from quota_platform.base.languages import number
from tenants.scope import tenants_of

MAX_MUTE = timedelta(days=7)
ACT = "limiter.add_teamentry"
Kind = TeamEntry.Kind


@dataclass(frozen=True, slots=True)
class Wish:
    """What a person asks for. ``until`` is for a mute, ``to`` (a user name) for the one who gets the incident."""

    kind: str
    text: str = ""
    until: datetime | None = None
    to: str = ""


@dataclass(frozen=True, slots=True)
class TeamSubject:
    """The limit that it is about, its open alerts, and its incident if there is one."""

    row: Row
    incident: Incident | None
    lasts: bool
    now: datetime

    def alerts(self) -> Any:
        return Alert.objects.filter(**self.row._asdict(), ended_at=None)


@dataclass(frozen=True, slots=True)
class Done:
    """An act as the audit record holds it."""

    kind: str
    incident: int | None
    action_id: str
    limit_name: str
    text: str
    until: str
    to: str


def act(target: Incident | Alert, wish: Wish, *, person: Any, now: datetime | None = None) -> TeamEntry:
    """Do what the person asks for, who may see the target; raises ValidationError by field."""
    now = now or timezone.now()
    if wish.kind not in Kind.values:
        raise ValidationError({"kind": _("Choose one of {kinds}.").format(kinds=", ".join(Kind.values))})
    text = " ".join(wish.text.split())
    if len(text) > MAX_TEXT or not text.isprintable():
        raise ValidationError({"text": _("Use at most {most} printable characters.").format(most=number(MAX_TEXT))})
    with transaction.atomic():
        subject = _subject(target, now)
        _DO[Kind(wish.kind)](subject, wish, person.get_username())
        return _enter(subject, wish, text, person.get_username())


def _subject(target: Incident | Alert, now: datetime) -> TeamSubject:
    row = Row(target.tenant_id, target.action_id, target.limit_name)
    if isinstance(target, Incident):
        return TeamSubject(row, target, target.ended_at is None, now)
    incident = Incident.objects.filter(**row._asdict(), ended_at=None).first()
    return TeamSubject(row, incident, target.ended_at is None, now)


def _enter(subject: TeamSubject, wish: Wish, text: str, by: str) -> TeamEntry:
    incident = subject.incident
    until, to = wish.until if wish.kind == Kind.MUTED else None, wish.to if wish.kind in _GIVES else ""
    entry = TeamEntry.objects.create(
        at=subject.now, by=by, kind=wish.kind, **subject.row._asdict(), incident=incident, text=text, until=until, to=to
    )
    payload = {
        "kind": entry.kind,
        "incident": incident.pk if incident else None,
        "action_id": entry.action_id,
        "limit_name": entry.limit_name,
        "text": text,
        "until": until.isoformat() if until else "",
        "to": to,
    }
    draft = Draft(f"team.{entry.kind}", tenant_id=entry.tenant_id, actor=by, at=entry.at, payload=FORM.named(payload))
    chain.append([draft])
    return entry


def _acknowledge(subject: TeamSubject, wish: Wish, by: str) -> None:
    _need_lasting(subject)
    seen = {"acknowledged_at": subject.now, "acknowledged_by": by}
    done = subject.alerts().filter(acknowledged_at=None).update(**seen)
    if subject.incident is not None:
        done += Incident.objects.filter(pk=subject.incident.pk, acknowledged_at=None).update(**seen)
    if not done:
        raise ValidationError({"kind": _("Somebody has acknowledged it already.")})


def _mute(subject: TeamSubject, wish: Wish, by: str) -> None:
    _need_lasting(subject)
    if wish.until is None or not subject.now < wish.until <= subject.now + MAX_MUTE:
        raise ValidationError({"until": _("Give a time in the next {days} days.").format(days=MAX_MUTE.days)})
    mutes.put(subject.row, until=wish.until, by=by, now=subject.now)


def _unmute(subject: TeamSubject, wish: Wish, by: str) -> None:
    if not mutes.end(subject.row, now=subject.now):
        raise ValidationError({"kind": _("It is not muted.")})


def _note(subject: TeamSubject, wish: Wish, by: str) -> None:
    _need_incident(subject)
    _need_text(wish)


def _assign(subject: TeamSubject, wish: Wish, by: str) -> None:
    incident = _need_incident(subject)
    found = get_user_model().objects.filter(username=wish.to, is_active=True).first()
    if found is None or not tenants_of(found).filter(tenant_id=incident.tenant_id).exists():
        raise ValidationError({"to": _("Give the user name of somebody who may see the tenant.")})
    Incident.objects.filter(pk=incident.pk).update(owner=wish.to)


def _hand_over(subject: TeamSubject, wish: Wish, by: str) -> None:
    _need_text(wish)
    _assign(subject, wish, by)


def _need_lasting(subject: TeamSubject) -> None:
    if not subject.lasts:
        raise ValidationError({"kind": _("It is over. You can still write a note.")})


def _need_incident(subject: TeamSubject) -> Incident:
    if subject.incident is None:
        raise ValidationError({"kind": _("Nothing was refused yet, so there is no incident. Acknowledge or mute it.")})
    return subject.incident


def _need_text(wish: Wish) -> None:
    if not wish.text.strip():
        raise ValidationError({"text": _("Write a sentence for the next reader.")})


_DO: Mapping[Kind, Callable[[TeamSubject, Wish, str], None]] = {
    Kind.ACKNOWLEDGED: _acknowledge,
    Kind.MUTED: _mute,
    Kind.UNMUTED: _unmute,
    Kind.NOTE: _note,
    Kind.ASSIGNED: _assign,
    Kind.HANDED_OVER: _hand_over,
}
_GIVES = frozenset({Kind.ASSIGNED, Kind.HANDED_OVER})


def read(payload: Any) -> Done:
    """An act from the audit record; raises :class:`~limiter.core.versioned.Unreadable`."""
    return FORM.take(payload)


FORM = Form("act of a team", {1: lambda data: versioned.build(Done, data)})
