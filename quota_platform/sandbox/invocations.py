"""The endpoints that do something: scripts, signals, work items, web actions, Genesys data actions, plain REST."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from quota_platform.sandbox.log import LogEntry
from quota_platform.sandbox.responses import SandboxResponse, api_error, empty, missing_parameter, reply

if TYPE_CHECKING:
    from quota_platform.sandbox.state import SandboxState


def web_action(state: SandboxState, entry: LogEntry) -> SandboxResponse:
    """``POST /webactions/{id}/invoke``: our convention, not NICE's. Returns the scripted response, or an echo."""
    if (scripted := _scripted(state, entry)) is not None:
        return scripted
    if not _is_json(entry.body):
        return api_error(400, error="invalid_request", description="The body is not JSON.")
    name = json.dumps(entry.action).encode()
    body = b'{"actionId":%b,"invocation":%d,"received":%b}' % (name, entry.seq, entry.body or b"null")
    return SandboxResponse(body=body)


def genesys_execute(state: SandboxState, entry: LogEntry) -> SandboxResponse:
    """``POST /api/v2/integrations/actions/{id}/execute``: the echo with Genesys's rate headers."""
    response = _scripted(state, entry)
    if response is None and not _is_json(entry.body):
        return reply({"message": "The request body is not JSON.", "code": "bad.request", "status": 400}, status=400)
    if response is None:
        name = json.dumps(entry.action).encode()
        response = SandboxResponse(body=b'{"actionId":%b,"received":%b}' % (name, entry.body or b"null"))
    minute, second = divmod(int(entry.at), 60)
    response.headers |= {
        "inin-ratelimit-allowed": "300",
        "inin-ratelimit-count": str(state.rate_in_minute(entry.client_id or "", minute=minute)),
        "inin-ratelimit-reset": str(60 - second),
    }
    return response


def script_start(state: SandboxState, entry: LogEntry) -> SandboxResponse:
    """``POST …/scripts/start``: everything stands in the query; answers the new contact's number."""
    query = parse_qs(entry.query)
    if "skillId" not in query:
        return missing_parameter("skillId")
    script = (query.get("scriptPath") or query.get("scriptId") or [""])[0]
    if not script:
        return missing_parameter("scriptPath")
    if state.contacts.scripts and script not in state.contacts.scripts:
        return api_error(404, error="not_found", description="No such script.")
    return _scripted(state, entry) or _new_contact(state, entry, status=state.contacts.start_status)


def signal(state: SandboxState, entry: LogEntry) -> SandboxResponse:
    """``POST …/interactions/{contactId}/signal``: 202 without a body; a contact of another unit is not found."""
    if state.contacts.unit_of(entry.contact or "") != entry.unit:
        return api_error(404, error="not_found", description="No such contact.")
    return _scripted(state, entry) or empty(202)


def work_item(state: SandboxState, entry: LogEntry) -> SandboxResponse:
    """``POST …/interactions/work-items``: 202; empty or with the contact's number, sources disagree."""
    if "pointOfContact" not in parse_qs(entry.query):
        return missing_parameter("pointOfContact")
    if (scripted := _scripted(state, entry)) is not None:
        return scripted
    response = _new_contact(state, entry, status=202)
    return response if state.contacts.work_item_body else empty(202)


def rest(state: SandboxState, entry: LogEntry) -> SandboxResponse:
    """Any method under ``/rest/``: says what arrived, so that a template can be checked."""
    if (scripted := _scripted(state, entry)) is not None:
        return scripted
    received = entry.body.decode("utf-8", "replace")
    return reply({"method": entry.method, "path": entry.path, "query": entry.query, "body": received})


def _new_contact(state: SandboxState, entry: LogEntry, *, status: int) -> SandboxResponse:
    state.counters.contacts += 1
    return reply({"contactId": state.contacts.create(entry.unit or 0)}, status=status)


def _scripted(state: SandboxState, entry: LogEntry) -> SandboxResponse | None:
    if not state.scripted:
        return None
    response = state.scripted.get(entry.action or "") or state.scripted.get(entry.endpoint)
    return replace(response, headers=dict(response.headers)) if response else None


def _is_json(body: bytes) -> bool:
    try:
        json.loads(body.decode() or "null")
    except ValueError:
        return False
    return True
