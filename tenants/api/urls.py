"""Routes of the management API that belong to tenants."""

from __future__ import annotations

from quota_platform.base.api.router import Router
from tenants.api.actions import ActionResource
from tenants.api.connections import ConnectionResource
from tenants.api.keys import KeyResource
from tenants.api.tenants import TenantResource

router = Router()
router.register("tenants", TenantResource, basename="api-tenant")
router.register("connections", ConnectionResource, basename="api-connection")
router.register("actions", ActionResource, basename="api-action")
router.register("keys", KeyResource, basename="api-key")

urlpatterns = router.urls
