"""What the record brings: throttle events, usage, edits, multipliers, and the tasks that store and prune them."""

from __future__ import annotations

from limiter.record import attention
from limiter.record.models import (
    AuditEntry,
    DeadLetter,
    MultiplierChange,
    RecordGap,
    ThrottleEvent,
    UsageDay,
    UsageHour,
    UsageMinute,
)
from quota_platform.base.features import Feature, NavigationPage, Periodic
from quota_platform.base.row_access import Rule, nothing
from tenants.scope import by_name

_SECTION = "Audit log"
_LOOK = tuple(
    f"limiter.view_{row}" for row in ("throttleevent", "multiplierchange", "usageminute", "usagehour", "usageday")
)
_OF_TENANTS = (ThrottleEvent, MultiplierChange, AuditEntry, UsageMinute, UsageHour, UsageDay)

FEATURE = Feature(
    package="limiter.record",
    attention=attention.notices,
    rows={
        **{model: Rule(seen=by_name, changed=nothing, made=False) for model in _OF_TENANTS},
        # The platform's; and their content may be any tenant's.
        RecordGap: Rule(seen=nothing, made=False),
        DeadLetter: Rule(seen=nothing, made=False),
    },
    rights={
        "Supervisor": _LOOK,
        "Policy editor": _LOOK,
        "Auditor": (*_LOOK, "limiter.view_auditentry", "limiter.view_recordgap", "limiter.view_deadletter"),
    },
    pages=(
        NavigationPage(_SECTION, "Refusals", "block", "limiter.throttleevent"),
        NavigationPage(_SECTION, "Audit entries", "history", "limiter.auditentry"),
        NavigationPage(_SECTION, "Multipliers", "speed", "limiter.multiplierchange"),
    ),
    periodic=(
        Periodic("store events", "limiter.tasks.store_events", every_s=1),
        Periodic("store usage", "limiter.tasks.store_usage", every_s=5),
        Periodic("note overrides", "limiter.tasks.note_overrides", every_s=10),
        Periodic("anchor the record", "limiter.tasks.anchor_record", every_s=300),
        Periodic("prune", "limiter.tasks.prune", every_s=3600),
    ),
    resources={
        "decisions": "limiter.record.api.decisions.DecisionResource",
        "events": "limiter.record.api.events.EventResource",
    },
)
