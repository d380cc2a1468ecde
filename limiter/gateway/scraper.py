"""Who may scrape the Prometheus page."""

from __future__ import annotations

import hmac
import ipaddress

from django.conf import settings

from limiter.gateway.request import GatewayRequest


def may_read(request: GatewayRequest) -> bool:
    """True for the token in METRICS_TOKEN, and for an address in METRICS_NETWORKS. Neither is set: nobody."""
    token = settings.ENV.METRICS_TOKEN.get_secret_value()
    scheme, _, given = request.fields.get("authorization", "").partition(" ")
    if token and scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), token.encode()):
        return True
    return _in_network((request.scope.get("client") or ("", 0))[0], settings.ENV.METRICS_NETWORKS)


def _in_network(address: str, networks: list[str]) -> bool:
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(ip in ipaddress.ip_network(network, strict=False) for network in networks)
