"""The admin's pages for connections, tenants, their actions, API keys and API tokens."""

from tenants.admin.action import ActionAdmin
from tenants.admin.api_key import ApiKeyAdmin
from tenants.admin.api_token import ApiTokenAdmin
from tenants.admin.connection import ConnectionAdmin
from tenants.admin.tenant import TenantAdmin

__all__ = ["ActionAdmin", "ApiKeyAdmin", "ApiTokenAdmin", "ConnectionAdmin", "TenantAdmin"]
