"""The frames over plain HTTP, for pages whose websocket does not get through."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from dashboard import charting, topics
from dashboard.broadcast import Broadcast
from dashboard.flights import TooManyFlights
from dashboard.spans import SpanRefused
from dashboard.topics import Shown, StreamTopic
from dashboard.viewers import Sight

_CHARTS = {"range", "from", "to"}
_SIGN_IN = {"detail": _("Sign in first.")}
_NO_RIGHT = {"detail": _("You have no permission to see this.")}


@require_safe
@never_cache
async def overview(request: HttpRequest) -> HttpResponse:
    """The overview page's frame."""
    seen = await _sight(request)
    if seen is None:
        return JsonResponse(_SIGN_IN, status=401)
    return await _newest(request, topics.overview(seen.tenant_ids, every=seen.every))


@require_safe
@never_cache
async def tenant(request: HttpRequest, tenant_id: str) -> HttpResponse:
    """A tenant page's frame; with ``range``, or ``from`` and ``to``, only a chart of that time, as ``chart``."""
    seen = await _sight(request, tenant_id)
    if seen is None:
        return JsonResponse(_SIGN_IN, status=401)
    if not seen.of(tenant_id):
        return JsonResponse(_NO_RIGHT, status=403)
    if not _CHARTS & request.GET.keys():
        return await _newest(request, topics.tenant(tenant_id))
    try:
        asked = charting.wanted(request.GET.dict())
    except SpanRefused as error:
        return JsonResponse({"detail": str(error)}, status=400)
    try:
        return JsonResponse({"chart": await _broadcast(request).chart(tenant_id, asked)})
    except TooManyFlights:
        return JsonResponse({"detail": _("Too many charts are being read; try again in a moment.")}, status=503)


@require_safe
@never_cache
async def pool(request: HttpRequest, connection: int, limit: str) -> HttpResponse:
    """The frame of a shared limit's page."""
    shown = topics.view_of(connection, limit, request.GET.dict())
    seen = await _sight(request, shown)
    if seen is None:
        return JsonResponse(_SIGN_IN, status=401)
    if not seen.of(shown):
        return JsonResponse(_NO_RIGHT, status=403)
    return await _newest(request, seen.topic(shown))


async def _sight(request: HttpRequest, shown: Shown = "") -> Sight | None:
    return await _broadcast(request).sight(request.COOKIES.get(settings.SESSION_COOKIE_NAME), shown)


async def _newest(request: HttpRequest, topic: StreamTopic) -> HttpResponse:
    return HttpResponse(await _broadcast(request).newest(topic), content_type="application/json")


def _broadcast(request: HttpRequest) -> Broadcast:
    broadcast: Broadcast = request.scope["state"]["broadcast"]  # type: ignore[attr-defined]
    return broadcast
