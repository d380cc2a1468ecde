"""The declaration of the tenants app: callers, their connections, and the people who look after them."""

from __future__ import annotations

from typing import Any

from django.db.models import Exists, OuterRef, Q

from quota_platform.base.changes import Topic, Touch
from quota_platform.base.features import Audited, Feature, NavigationPage
from quota_platform.base.row_access import Rule
from tenants import attention, event_types
from tenants.models import Action, ApiKey, ApiToken, Connection, Membership, Tenant
from tenants.scope import by_tenant, tenants_of

_SECTION = "Access"
_LOOK = ("tenants.view_tenant", "tenants.view_action", "tenants.view_apikey", "tenants.view_connection")
_TOKENS = ("tenants.view_apitoken", "tenants.add_apitoken", "tenants.change_apitoken")


def _own_connections(person: Any) -> Q:
    return Q(pk__in=tenants_of(person).values("connection"))


def _nobody_elses_connections(person: Any) -> Q:
    strangers = Tenant.objects.filter(connection=OuterRef("pk")).exclude(pk__in=tenants_of(person))
    return _own_connections(person) & ~Q(Exists(strangers))


FEATURE = Feature(
    package="tenants",
    events=event_types.TYPES,
    attention=attention.notices,
    rows={
        Tenant: Rule(seen=by_tenant("pk"), made=False),
        Action: Rule(seen=by_tenant("tenant")),
        ApiKey: Rule(seen=by_tenant("tenant")),
        ApiToken: Rule(seen=lambda person: Q(user=person)),
        Membership: Rule(seen=by_tenant("tenant")),
        Connection: Rule(seen=_own_connections, changed=_nobody_elses_connections, made=False),
    },
    audited={
        Connection: Audited("connection"),
        Tenant: Audited("tenant", lambda row: str(row.tenant_id)),
        Action: Audited("action", lambda row: str(row.tenant.tenant_id)),
        ApiKey: Audited("key", lambda row: row.tenant.tenant_id if row.tenant else ""),
        ApiToken: Audited("token"),
        Membership: Audited("membership", lambda row: str(row.tenant.tenant_id)),
    },
    published={
        Tenant: lambda row: [Touch(Topic.TENANT, row.pk)],
        Action: lambda row: [Touch(Topic.TENANT, row.tenant_id)],
        Connection: lambda row: [Touch(Topic.CONNECTION, row.pk)],
        ApiKey: lambda row: [Touch(Topic.KEY, row.pk)],
    },
    rights={
        "Supervisor": (*_LOOK, *_TOKENS, "tenants.revoke_apikey"),
        "Policy editor": (*_LOOK, *_TOKENS),
        "Auditor": (*_LOOK, *_TOKENS, "tenants.view_membership"),
    },
    pages=(
        NavigationPage(_SECTION, "Tenants", "apartment", "tenants.tenant"),
        NavigationPage(_SECTION, "Actions", "bolt", "tenants.action"),
        NavigationPage(_SECTION, "API keys", "key", "tenants.apikey"),
        NavigationPage(_SECTION, "Connections", "hub", "tenants.connection"),
        NavigationPage(_SECTION, "API tokens", "vpn_key", "tenants.apitoken"),
    ),
    resources={
        "tenants": "tenants.api.tenants.TenantResource",
        "connections": "tenants.api.connections.ConnectionResource",
        "actions": "tenants.api.actions.ActionResource",
        "keys": "tenants.api.keys.KeyResource",
    },
)
