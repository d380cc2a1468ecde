"""When a session ends: so long after its sign-in, or after its person last opened a page; and those of wallboards.

A live page keeps no session alive by itself: nobody may be sitting before it. A screen on a wall has an account of its
own, in the group WALLBOARD_GROUP: its sessions last for weeks, and can do nothing but look at the dashboard.
"""

from __future__ import annotations

import time
from typing import Any

from django.conf import settings
from django.contrib.auth.signals import user_logged_in
from django.contrib.sessions.backends.base import SessionBase
from django.http import HttpRequest

from tenants import preferences

BEGAN, SEEN, WALLBOARD = "account_began", "account_seen", "account_wallboard"
NOTED_S = 60
"""The time of the last page is noted to the minute, so that not each page writes to the database."""
LIVE = "/dashboard/api/"
_ITS_OWN = ("/accounts/", "/language/")
_SAFE = ("GET", "HEAD")


def connect() -> None:
    """Called once, when Django is ready."""
    user_logged_in.connect(_begin, dispatch_uid="begin sessions")


def _begin(request: HttpRequest | None, user: Any, **_: object) -> None:
    if request is None or not hasattr(request, "session"):
        return
    now = int(time.time())
    request.session.update({BEGAN: now, SEEN: now, WALLBOARD: _is_wallboard(user)})
    preferences.recall(request.session, user)


def _is_wallboard(person: Any) -> bool:
    return bool(person.groups.filter(name=settings.ENV.WALLBOARD_GROUP).exists())


def has_ended(person: Any, session: SessionBase) -> bool:
    """Whether its time is over. A session of an earlier release begins when this one sees it first."""
    env, now = settings.ENV, time.time()
    age_s = now - session.get(BEGAN, now)
    if session.get(WALLBOARD):
        return age_s > env.WALLBOARD_DAYS * 86_400 or not _is_wallboard(person)
    idle_s = now - session.get(SEEN, now)
    is_idle = env.SESSION_IDLE_MINUTES and idle_s > env.SESSION_IDLE_MINUTES * 60
    return bool(is_idle or age_s > env.SESSION_HOURS * 3_600)


def note_use(person: Any, session: SessionBase) -> None:
    """A person opened a page."""
    now = int(time.time())
    session.setdefault(BEGAN, now)
    if now - session.get(SEEN, 0) >= NOTED_S:
        session[SEEN] = now
        preferences.recall(session, person)


def may_use(request: HttpRequest) -> bool:
    """False for what a wallboard's session may not do."""
    if not request.session.get(WALLBOARD):
        return True
    path = request.path_info
    return path.startswith(_ITS_OWN) or (request.method in _SAFE and path.startswith("/dashboard/"))
