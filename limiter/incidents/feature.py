"""What incidents bring: stretches of refusals by one limit, kept from the record of refusals."""

from __future__ import annotations

from limiter.incidents.models import EventCursor, Incident, TeamEntry
from quota_platform.base.features import Feature, Periodic
from quota_platform.base.row_access import Rule, nothing
from tenants.scope import by_name

_LOOK = ("limiter.view_incident", "limiter.view_teamentry")
_ACT = "limiter.add_teamentry"

FEATURE = Feature(
    package="limiter.incidents",
    rows={
        Incident: Rule(seen=by_name, changed=nothing, made=False),
        TeamEntry: Rule(seen=by_name, changed=nothing),
        EventCursor: Rule(seen=nothing, made=False),
    },
    rights={"Supervisor": (*_LOOK, _ACT), "Policy editor": (*_LOOK, _ACT), "Auditor": _LOOK},
    periodic=(
        Periodic("follow refusals", "limiter.tasks.follow_refusals", every_s=2),
        Periodic("prune incidents", "limiter.tasks.prune_incidents", every_s=3600),
    ),
    resources={
        "incidents": "limiter.incidents.api.incidents.IncidentResource",
        "team-entries": "limiter.incidents.api.entries.TeamEntryResource",
    },
)
