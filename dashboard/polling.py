"""The frames over plain HTTP, for pages whose websocket does not get through."""

from __future__ import annotations

from asgiref.sync import sync_to_async
from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from dashboard import history, quarter, topics
from dashboard.broadcast import Broadcast
from dashboard.topics import StreamTopic
from dashboard.viewers import Sight

_SIGN_IN = {"detail": _("Sign in first.")}
_NO_RIGHT = {"detail": _("You have no permission to see this.")}


@require_safe
@never_cache
async def overview(request: HttpRequest) -> HttpResponse:
    """The overview page's frame."""
    seen = await _sight(request)
    if seen is None:
        return JsonResponse(_SIGN_IN, status=401)
    return await _newest(request, topics.overview(seen.tenant_ids))


@require_safe
@never_cache
async def tenant(request: HttpRequest, tenant_id: str) -> HttpResponse:
    """A tenant page's frame; with ``range`` 15m, 1h, 24h or 7d only its recorded history, as ``chart``."""
    seen = await _sight(request)
    if seen is None:
        return JsonResponse(_SIGN_IN, status=401)
    if not seen.of(tenant_id):
        return JsonResponse(_NO_RIGHT, status=403)
    wanted = request.GET.get("range", "5m")
    if wanted == quarter.RANGE:
        return JsonResponse({"chart": await _broadcast(request).quarter(tenant_id)})
    if wanted in history.RANGES:
        return JsonResponse({"chart": await sync_to_async(history.chart)(tenant_id, wanted)})
    return await _newest(request, topics.tenant(tenant_id))


async def _sight(request: HttpRequest) -> Sight | None:
    return await _broadcast(request).sight(request.COOKIES.get(settings.SESSION_COOKIE_NAME))


async def _newest(request: HttpRequest, topic: StreamTopic) -> HttpResponse:
    return HttpResponse(await _broadcast(request).newest(topic), content_type="application/json")


def _broadcast(request: HttpRequest) -> Broadcast:
    broadcast: Broadcast = request.scope["state"]["broadcast"]  # type: ignore[attr-defined]
    return broadcast
