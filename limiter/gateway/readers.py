"""Who may read without an API key: a person who is signed in, consumption of a tenant they see, health as staff."""

from __future__ import annotations

from asgiref.sync import sync_to_async
from django.conf import settings
from django.db import Error as DatabaseFault
from django.db import close_old_connections
from django.http import HttpRequest

from limiter.gateway import problems
from limiter.gateway.problems import GatewayProblem
from quota_platform.base import row_access, sessions
from tenants import scope


async def check(request: HttpRequest, tenant_id: str) -> None:
    """Raise Problem 401 unless a person is signed in, 403 unless they may see ``tenant_id``. Off the event loop."""
    if not sessions.may_be_key(_session_key(request)):
        raise problems.unauthorized()
    if "\0" in tenant_id:  # PostgreSQL would not be asked for such a name
        raise GatewayProblem(404, "not-found", "There is no such tenant.")
    allowed = await sync_to_async(_may_read, thread_sensitive=False)(request, tenant_id)
    if allowed is None:
        raise problems.unauthorized()
    if not allowed:
        raise GatewayProblem(403, "forbidden", f"You have no permission to see tenant {tenant_id}.")


async def is_staff(request: HttpRequest) -> bool:
    """True when a person of the staff is signed in. Off the event loop; False when the database cannot tell."""
    if not sessions.may_be_key(_session_key(request)):
        return False
    try:
        return await sync_to_async(_is_staff, thread_sensitive=False)(request)
    except DatabaseFault:
        return False


def _is_staff(request: HttpRequest) -> bool:
    close_old_connections()
    try:
        user = sessions.person_of(_session_key(request))
        return user is not None and user.is_staff
    finally:
        close_old_connections()


def _may_read(request: HttpRequest, tenant_id: str) -> bool | None:
    """Whether the signed-in person sees the tenant; None when nobody is signed in."""
    close_old_connections()
    try:
        user = sessions.person_of(_session_key(request))
        if user is None:
            return None
        # For those who see every tenant the gateway reports that there is none of this ID.
        return row_access.sees_every_tenant(user) or scope.tenants_of(user).filter(tenant_id=tenant_id).exists()
    finally:
        close_old_connections()


def _session_key(request: HttpRequest) -> str | None:
    return request.COOKIES.get(settings.SESSION_COOKIE_NAME)
