"""The rows that say who may call what: connections, tenants, their actions and API keys; and who looks after them."""

from quota_platform.base.models.change import Change
from quota_platform.base.models.granted import Granted
from tenants.models.api_key import ApiKey
from tenants.models.api_token import ApiToken
from tenants.models.connection import Connection
from tenants.models.membership import Membership
from tenants.models.preferences import Preferences
from tenants.models.tenant import Action, Tenant

__all__ = ["Action", "ApiKey", "ApiToken", "Change", "Connection", "Granted", "Membership", "Preferences", "Tenant"]
