"""Decides the response to one call: route, token, fault, unit limit, effect. Nothing here waits or sends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from quota_platform.sandbox import credentials, damage, endpoints, routes
from quota_platform.sandbox.counters import count
from quota_platform.sandbox.log import LogEntry
from quota_platform.sandbox.pushback import pushback
from quota_platform.sandbox.responses import SandboxResponse, api_error, no_accept, reply
from quota_platform.sandbox.unit_limits import Pass

if TYPE_CHECKING:
    from quota_platform.sandbox.faults import PlannedFault
    from quota_platform.sandbox.state import SandboxState

SCOPE = "webaction:execute"


def decide(state: SandboxState, entry: LogEntry) -> tuple[SandboxResponse, Pass | None]:
    """The response, and the call's place under the unit limit, to be given back when the call is over."""
    response, admitted = _decide(state, entry)
    if entry.endpoint == endpoints.GENESYS_EXECUTE:
        response.headers.setdefault("ININ-Correlation-Id", state.trace_id(entry))
    return response, admitted


def _decide(state: SandboxState, entry: LogEntry) -> tuple[SandboxResponse, Pass | None]:
    found = routes.find(entry.path)
    if found is not None:
        entry.endpoint, entry.action, entry.contact = found.route.endpoint, found.action, found.contact
    count(state.counters.endpoints, entry.endpoint)
    if refused := state.conduct.check(entry, secrets_known=_secrets(state, entry)):
        return _misconduct(refused), None
    if found is None:
        return api_error(404, error="not_found", description="No such resource."), None
    if entry.method not in found.route.methods:
        response = api_error(405, error="method_not_allowed", description="Method not allowed.")
        response.headers["Allow"] = ", ".join(sorted(found.route.methods))
        return response, None
    if found.route.guarded:
        return _guarded(state, entry, found)
    if entry.endpoint == endpoints.TOKEN:
        entry.client_id = _account(entry)
        entry.unit = state.accounts.unit_of(entry.client_id)
        count(state.counters.token_requests, entry.client_id)
    return _run(state, entry, found.route), None


def _guarded(state: SandboxState, entry: LogEntry, found: routes.Found) -> tuple[SandboxResponse, Pass | None]:
    if (denied := _check_token(state, entry, found)) is not None:
        return denied, None
    invoking = entry.endpoint in endpoints.INVOKE
    if invoking:
        count(state.counters.called, entry.action or entry.endpoint)
        if refused := state.conduct.check_repeat(entry):
            return _misconduct(refused), None
    admitted = None
    if invoking and state.unit_limits:
        what = entry.contact or entry.action or entry.endpoint
        admitted = state.unit_limits.enter(entry.unit or 0, what=what, now=entry.at)
        if admitted.wait_s:
            state.counters.refused_by_unit_limit += 1
            return pushback(admitted.flavour, wait_s=admitted.wait_s, now=entry.at, limit=admitted.limit), None
    response = _run(state, entry, found.route)
    if entry.endpoint in endpoints.CXONE_STYLE and "Accept" not in entry.headers and response.status < 300:
        response = no_accept()
    return response, admitted


def _misconduct(breaches: list[str]) -> SandboxResponse:
    return api_error(400, error="conduct", description=f"Refused by the sandbox: {', '.join(breaches)}.")


def _check_token(state: SandboxState, entry: LogEntry, found: routes.Found) -> SandboxResponse | None:
    kind, _, value = entry.headers.get("Authorization", "").partition(" ")
    token = state.tokens.find(value) if kind.lower() == "bearer" else None
    if token is None or not token.live(entry.at):
        response = api_error(401, error="invalid_token", description="The token is missing, expired or not known.")
        response.headers["WWW-Authenticate"] = "Bearer"
        return response
    owner = token.owner
    entry.client_id, entry.unit = owner.account, owner.unit.number
    if found.unit not in (None, entry.unit):
        state.conduct.breach("foreign_token")
        return api_error(401, error="invalid_token", description="The token belongs to another business unit.")
    scoped = owner.scopes or state.tokens.rules.require_scope
    if scoped and entry.endpoint == endpoints.WEBACTION and SCOPE not in owner.scopes:
        return api_error(403, error="insufficient_scope", description=f"The token lacks the scope {SCOPE}.")
    return None


def _run(state: SandboxState, entry: LogEntry, route: routes.Route) -> SandboxResponse:
    """The effect and its response, as a fault leaves them."""
    fault = state.faults.pick(entry, now=entry.at) if state.faults else None
    if fault is None:
        return _effect(state, entry, route)
    entry.fault = fault.name
    return _faulty(state, entry, route, fault)


def _faulty(state: SandboxState, entry: LogEntry, route: routes.Route, fault: PlannedFault) -> SandboxResponse:
    good = _effect(state, entry, route) if fault.runs(entry) else None
    return damage.spoil(fault, good=good, now=entry.at, trap=state.trap_url())


def _effect(state: SandboxState, entry: LogEntry, route: routes.Route) -> SandboxResponse:
    response = route.handler(state, entry)
    if entry.endpoint in endpoints.INVOKE and response.status < 400:
        entry.ran = True
        count(state.counters.ran, entry.action or entry.endpoint)
        if entry.key is not None:
            count(state.counters.runs_by_key, entry.key)
    return response


def _account(entry: LogEntry) -> str:
    given = credentials.read(entry)
    return given.get("username") or given.get("accessKeyId") or given.client_id or "(none)"


def _secrets(state: SandboxState, entry: LogEntry) -> list[str]:
    """What must not stand in this call's URL; the long list is made only for a URL that could hold one."""
    if not entry.query and entry.endpoint in (endpoints.WEBACTION, endpoints.TOKEN):
        return []
    return [*state.accounts.secrets(), *state.tokens.values()]


def trapped(state: SandboxState, *, with_token: bool) -> SandboxResponse:
    """The place a redirect led to."""
    state.conduct.breach("redirect_followed")
    if with_token:
        state.conduct.breach("token_followed_redirect")
    return reply({"trap": True})
