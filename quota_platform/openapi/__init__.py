"""The OpenAPI document: what DRF's routes say of themselves, completed here with errors and the gateway's routes."""

from quota_platform.openapi.gateway import gateway_routes
from quota_platform.openapi.management import management_routes

__all__ = ["gateway_routes", "management_routes"]
