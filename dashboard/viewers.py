"""Who is looking, and whether they still may: the check that joins, polls and open streams all make."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user
from django.db import close_old_connections
from django.http import HttpRequest

from dashboard.access import tenants_of


def visible(session_key: str | None) -> list[str] | None:
    """The IDs of the tenants that the session's person may see now; None when nobody is signed in with it.

    The session is read anew each time: a signed-out, switched-off or moved account loses its open streams too.
    For a thread: it closes its connection.
    """
    if not session_key:
        return None
    close_old_connections()
    try:
        request: Any = HttpRequest()
        request.session = import_module(settings.SESSION_ENGINE).SessionStore(session_key)
        user = get_user(request)
        if not user.is_authenticated or not user.is_active:
            return None
        return list(tenants_of(user).values_list("tenant_id", flat=True))
    finally:
        close_old_connections()
