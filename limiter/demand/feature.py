"""What the record of demand brings: its rows, and the tasks that store, pack and prune them."""

from __future__ import annotations

from limiter.demand.models import DemandBlock, RecordedSpan
from quota_platform.base.features import Feature, Periodic
from quota_platform.base.row_access import Rule, nothing
from tenants.scope import by_name

FEATURE = Feature(
    package="limiter.demand",
    rows={
        DemandBlock: Rule(seen=by_name, changed=nothing, made=False),
        RecordedSpan: Rule(seen=nothing, made=False),
    },
    periodic=(
        Periodic("store demand", "limiter.tasks.store_demand", every_s=5),
        Periodic("roll up demand", "limiter.tasks.roll_up_demand", every_s=300),
    ),
)
