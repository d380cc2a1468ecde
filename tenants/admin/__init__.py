"""The admin's pages for connections, tenants, their actions and API keys."""

from tenants.admin.action import ActionAdmin
from tenants.admin.api_key import ApiKeyAdmin
from tenants.admin.connection import ConnectionAdmin
from tenants.admin.tenant import TenantAdmin

__all__ = ["ActionAdmin", "ApiKeyAdmin", "ConnectionAdmin", "TenantAdmin"]
