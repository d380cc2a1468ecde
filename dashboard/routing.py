"""The dashboard's websocket addresses."""

from __future__ import annotations

from typing import Any

from channels.routing import URLRouter
from channels.security.websocket import AllowedHostsOriginValidator
from channels.sessions import CookieMiddleware
from django.urls import path

from dashboard.consumers import DashboardConsumer

# The validator refuses pages of other sites, which would come with the person's cookies.
websocket: Any = AllowedHostsOriginValidator(
    CookieMiddleware(URLRouter([path("ws/dashboard/", DashboardConsumer.as_asgi())]))
)
