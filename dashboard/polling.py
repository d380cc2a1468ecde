"""The frames over plain HTTP, for pages whose websocket does not get through."""

from __future__ import annotations

from asgiref.sync import sync_to_async
from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from dashboard import history
from dashboard.live import Live
from dashboard.viewers import visible

_SIGN_IN = {"detail": "Sign in first."}
_NO_RIGHT = {"detail": "You have no right to see this."}


@require_safe
@never_cache
async def overview(request: HttpRequest) -> HttpResponse:
    """The overview page's frame."""
    tenant_ids = await _visible(request)
    if tenant_ids is None:
        return JsonResponse(_SIGN_IN, status=401)
    return _frame(await _live(request).overview(tenant_ids))


@require_safe
@never_cache
async def tenant(request: HttpRequest, tenant_id: str) -> HttpResponse:
    """A tenant page's frame; with ``range`` 1h, 24h or 7d only its stored history, as ``chart``."""
    tenant_ids = await _visible(request)
    if tenant_ids is None:
        return JsonResponse(_SIGN_IN, status=401)
    if tenant_id not in tenant_ids:
        return JsonResponse(_NO_RIGHT, status=403)
    wanted = request.GET.get("range", "5m")
    if wanted in history.RANGES:
        return JsonResponse({"chart": await sync_to_async(history.chart)(tenant_id, wanted)})
    return _frame(await _live(request).tenant(tenant_id))


async def _visible(request: HttpRequest) -> list[str] | None:
    session_key = request.COOKIES.get(settings.SESSION_COOKIE_NAME)
    return await sync_to_async(visible, thread_sensitive=False)(session_key)


def _frame(text: str) -> HttpResponse:
    return HttpResponse(text, content_type="application/json")


def _live(request: HttpRequest) -> Live:
    live: Live = request.scope["state"]["live"]  # type: ignore[attr-defined]
    return live
