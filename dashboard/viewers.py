"""Who is looking, and whether they still may: the check that joins, polls and open streams all make."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user
from django.http import HttpRequest

from tenants.scope import tenants_of


@dataclass(frozen=True, slots=True)
class Sight:
    """A person who is signed in, and the IDs of the tenants they may see now."""

    person: int
    tenant_ids: frozenset[str]

    def of(self, tenant_id: str) -> bool:
        """Whether the person may see this tenant; the overview (no tenant ID) is everyone's."""
        return not tenant_id or tenant_id in self.tenant_ids


def sights(session_keys: Collection[str]) -> dict[str, Sight | None]:
    """What the person of each session may see; None where nobody is signed in with it. For a thread.

    The sessions are read anew each time: a signed-out, switched-off or moved account loses its open streams too.
    """
    return {session_key: sight(session_key) for session_key in session_keys}


def sight(session_key: str | None) -> Sight | None:
    """What the person of this session may see now; None when nobody is signed in with it. For a thread."""
    if not session_key or "\0" in session_key:
        return None
    request: Any = HttpRequest()
    request.session = import_module(settings.SESSION_ENGINE).SessionStore(session_key)
    user = get_user(request)
    if not user.is_authenticated or not user.is_active:
        return None
    return Sight(user.pk, frozenset(tenants_of(user).values_list("tenant_id", flat=True)))
