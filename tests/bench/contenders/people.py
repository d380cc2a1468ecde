"""People who may see every tenant, each signed in: prints their session keys as JSON."""

from __future__ import annotations

import json
from typing import Any

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.models import User
from django.contrib.sessions.backends.db import SessionStore


def main(count: int) -> None:
    users = [User(username=f"viewer-{number}", is_superuser=True, password="!") for number in range(count)]
    print(json.dumps([_session_of(user) for user in User.objects.bulk_create(users)]))


def _session_of(user: Any) -> str:
    session = SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[-1]  # the first one only counts attempts
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.create()
    return str(session.session_key)
