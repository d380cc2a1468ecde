"""What alerts bring: limits that are nearly used up or were, and the hooks that they are posted to."""

from __future__ import annotations

from limiter.alerts import attention, event_types
from limiter.alerts.models import Alert, AlertDelivery, AlertHook, EventMark, Mute, OpenEvent
from quota_platform.base.features import Audited, Feature, NavigationPage, Periodic
from quota_platform.base.row_access import Rule, nothing
from tenants.scope import by_name, by_tenant

_LOOK = ("limiter.view_alert", "limiter.view_alerthook", "limiter.view_alertdelivery")
_EDIT = tuple(f"limiter.{verb}_alerthook" for verb in ("add", "change", "delete"))

FEATURE = Feature(
    package="limiter.alerts",
    attention=attention.notices,
    rows={
        Alert: Rule(seen=by_name, changed=nothing, made=False),
        EventMark: Rule(seen=nothing, made=False),
        OpenEvent: Rule(seen=nothing, made=False),
        Mute: Rule(seen=by_name, changed=nothing, made=False),
        AlertHook: Rule(seen=by_tenant("tenant")),
        AlertDelivery: Rule(seen=by_tenant("hook__tenant"), changed=nothing, made=False),
    },
    audited={AlertHook: Audited("alert_hook", lambda row: row.tenant.tenant_id if row.tenant else "")},
    rights={"Supervisor": _LOOK, "Policy editor": (*_LOOK, *_EDIT), "Auditor": _LOOK},
    pages=(
        NavigationPage("Audit log", "Alerts", "notifications", "limiter.alert"),
        NavigationPage("Quotas", "Contact points", "webhook", "limiter.alerthook"),
    ),
    events=event_types.TYPES,
    periodic=(
        Periodic("watch limits", "limiter.tasks.watch_limits", every_s=2),
        Periodic("find events", "limiter.tasks.find_events", every_s=5),
        Periodic("post alerts", "limiter.tasks.post_alerts", every_s=2),
        Periodic("prune alerts", "limiter.tasks.prune_alerts", every_s=3600),
    ),
    resources={
        "alerts": "limiter.alerts.api.alerts.AlertResource",
        "alert-hooks": "limiter.alerts.api.hooks.HookResource",
        "alert-deliveries": "limiter.alerts.api.hooks.DeliveryResource",
    },
)
