"""Who may scrape the Prometheus page, and read more of a worker's state than whether it is ready."""

from __future__ import annotations

import hmac

from django.conf import settings

from limiter.gateway import readers
from quota_platform.base import addresses
from quota_platform.base.lean.request import LeanRequest


def may_read(request: LeanRequest) -> bool:
    """True for the token in METRICS_TOKEN, and for an address in METRICS_NETWORKS. Neither is set: nobody."""
    token = settings.ENV.METRICS_TOKEN.get_secret_value()
    scheme, _, given = request.fields.get("authorization", "").partition(" ")
    if token and scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), token.encode()):
        return True
    allowed = addresses.networks(*settings.ENV.METRICS_NETWORKS)
    return bool(allowed) and request.caller_address in allowed


def max_tenants() -> int:
    """How many tenants the page has by name."""
    return int(settings.ENV.METRICS_MAX_TENANTS)


async def may_see_details(request: LeanRequest) -> bool:
    """True for who may scrape, and for signed-in staff."""
    return may_read(request) or await readers.is_staff(request)
