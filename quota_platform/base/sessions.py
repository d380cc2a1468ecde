"""The person of a session cookie, where Django's middleware has not looked: websockets, their polls and the gateway."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from django.conf import settings
from django.contrib.auth import get_user
from django.contrib.auth.models import User
from django.contrib.sessions.backends.base import SessionBase
from django.http import HttpRequest

Objection = Callable[[User, SessionBase], bool]
"""Whether a session that its person has signed in with may not be used now."""

_objections: dict[str, Objection] = {}


def object_to(name: str, objection: Objection) -> None:
    """Declare a reason why sessions may not be used. Called once each, when Django is ready."""
    _objections[name] = objection


def may_be_key(session_key: str | None) -> bool:
    """Whether a session can have this key; a database is not asked for one with a NUL."""
    return bool(session_key) and "\0" not in str(session_key)


def person_of(session_key: str | None) -> User | None:
    """The active person who is signed in with this session now, or None. Reads the database: for a thread."""
    if not may_be_key(session_key):
        return None
    request = HttpRequest()
    request.session = import_module(settings.SESSION_ENGINE).SessionStore(session_key)
    user = get_user(request)
    if not (user.is_authenticated and user.is_active):
        return None
    return None if any(objects(user, request.session) for objects in _objections.values()) else user
