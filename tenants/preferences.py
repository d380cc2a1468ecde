"""Keeping how a person reads the pages, and handing it to their sessions."""

from __future__ import annotations

from typing import Any

from django.contrib.sessions.backends.base import SessionBase
from django.http import HttpRequest

from quota_platform.base.preferences import LANGUAGE, TIME_ZONE, hold
from tenants.models import Preferences


def keep(request: HttpRequest, **chosen: str) -> None:
    """The choices of the person who is signed in: ``language``, ``time_zone``, or both. Empty: none."""
    person: Any = request.user
    Preferences.objects.update_or_create(user=person, defaults=chosen)
    recall(request.session, request.user)


def recall(session: SessionBase, person: Any) -> None:
    """At the sign-in, and once a minute: the choice may have been made in another browser."""
    row = Preferences.objects.filter(user=person).first()
    hold(session, {LANGUAGE: row.language, TIME_ZONE: row.time_zone} if row else {})


def language_of(person: Any) -> str:
    """For mails, which have no session; empty if the person has chosen none."""
    return Preferences.objects.filter(user=person).values_list("language", flat=True).first() or ""
