"""The read-only endpoints: business unit, server time, versions, and skills with paging."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from quota_platform.sandbox.accounts import BusinessUnit
from quota_platform.sandbox.log import LogEntry
from quota_platform.sandbox.responses import SandboxResponse, api_error, reply

if TYPE_CHECKING:
    from quota_platform.sandbox.state import SandboxState

SKILLS = 250
LARGEST_PAGE = 100


def business_unit(state: SandboxState, entry: LogEntry) -> SandboxResponse:
    """``GET …/business-unit``. ``apiPublishedLimit`` is an integer whose meaning NICE does not publish."""
    unit = BusinessUnit(entry.unit or 0)
    record = {
        "businessUnitId": unit.number,
        "businessUnitName": unit.name,
        "tenantId": unit.tenant_id,
        "apiPublishedLimit": 1000,
        "concurrentAgentLimit": 500,
        "concurrentPortLimit": 500,
    }
    return reply({"businessUnits": [record], "businessUnitId": unit.number})


def server_time(state: SandboxState, entry: LogEntry) -> SandboxResponse:
    """``GET …/server-time``, by the sandbox's clock."""
    moment = datetime.datetime.fromtimestamp(state.now(), datetime.UTC)
    return reply({"serverTime": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")})


def api_version(state: SandboxState, entry: LogEntry) -> SandboxResponse:
    """``GET /apiversion``."""
    return reply({"versions": ["v30.0", "v31.0", "v32.0", "v33.0"]})


def skills(state: SandboxState, entry: LogEntry) -> SandboxResponse:
    """``GET …/skills?skip=&top=``: at most 100 a page, with links to the next and the previous one."""
    query = parse_qs(entry.query)
    skip, top = query.get("skip", ["0"])[0], query.get("top", ["50"])[0]
    if not skip.isdecimal() or not top.isdecimal() or not 1 <= int(top) <= LARGEST_PAGE:
        return api_error(400, error="invalid_parameter", description="top is 1 to 100, skip is 0 or more.")
    start, size = int(skip), int(top)
    rows = [{"skillId": 1000 + n, "skillName": f"Skill {n}"} for n in range(start, min(start + size, SKILLS))]
    here = f"{state.address_used(entry)}{entry.path}"
    links = {"self": f"{here}?skip={start}&top={size}", "next": None, "previous": None}
    if start + size < SKILLS:
        links["next"] = f"{here}?skip={start + size}&top={size}"
    if start:
        links["previous"] = f"{here}?skip={max(0, start - size)}&top={size}"
    return reply({"businessUnitId": entry.unit, "totalRecords": SKILLS, "skills": rows, "_links": links})
