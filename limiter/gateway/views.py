"""The gateway's HTTP surface: each view parses, calls the gateway, and responds. Served by the lean handler only."""

from __future__ import annotations

from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST

from limiter.core import decision_ids, headers, values
from limiter.core.types import PPM, Decision, Limit
from limiter.gateway import problems, prometheus, readers, scrape, scraper
from limiter.gateway.callers import Caller
from limiter.gateway.content import Content
from limiter.gateway.document import check_json
from limiter.gateway.gate import Gateway
from limiter.gateway.invocation import InvokeRequest, InvokeTarget
from limiter.gateway.problems import GatewayProblem
from limiter.gateway.responses import enveloped, passed_through, quota_fields
from limiter.gateway.runtime import Runtime
from limiter.stores.errors import StoreError
from limiter.upstream import errors
from limiter.upstream.call import UpstreamResponse
from quota_platform.base.lean.request import LeanRequest
from quota_platform.base.lean.response import Fields, LeanResponse, json_response, problem_response
from quota_platform.base.lean.view import LeanView

_FLAGS = {"1": True, "true": True, "0": False, "false": False}


def runtime_of(request: LeanRequest) -> Runtime:
    """This worker's parts, put into the ASGI state when it started."""
    runtime: Runtime = request.scope["state"]["runtime"]
    return runtime


async def identified(request: LeanRequest, gateway: Gateway) -> Caller:
    """Who calls, by the key in Authorization or X-API-Key; raises Problem."""
    token, tenant_id = api_key(request), request.fields.get("x-tenant-id", "")
    held = gateway.callers.held(token, tenant_id)
    return held if held is not None else await gateway.callers.identify(token, tenant_id, request)


def api_key(request: LeanRequest) -> str:
    """The key a request presents, "" when there is none; two different ones are none."""
    scheme, _, token = request.fields.get("authorization", "").partition(" ")
    bearer = token.strip() if scheme.lower() == "bearer" else ""
    plain = request.fields.get("x-api-key", "")
    if bearer and plain and bearer != plain:
        return ""
    return bearer or plain


def _flag(request: LeanRequest, name: str) -> bool:
    """A parameter that is true or false, false where it is left out; raises Problem for any other text."""
    given = request.GET.getlist(name)
    if not given:
        return False
    value = _FLAGS.get(given[0].lower()) if len(given) == 1 else None
    if value is None:
        raise GatewayProblem(400, "parameter-invalid", f"The parameter {name} is 1 or true, or 0 or false, once.")
    return value


class InvokeView(LeanView):
    """``POST /invoke/<action_id>``: decide, forward, answer."""

    async def post(self, request: LeanRequest, action_id: str) -> LeanResponse:
        runtime = runtime_of(request)
        gateway, settings = runtime.gateway, runtime.settings
        caller = await identified(request, gateway)
        target = gateway.target(caller, action_id)
        check_json(request.content)
        target = gateway.targets.charged(caller, target, Content(request.content, request.fields))
        wait = gateway.waiting.asked(request.fields.get("prefer"), target.plan.wait_seconds)
        call = InvokeRequest(request.request_id, request.content, request.fields, wait, request.departure)
        try:
            outcome = await gateway.invoke(caller, target, call)
            fields = quota_fields(outcome.target.bound, outcome.decision, legacy=settings.legacy_headers)
            if wait is not None:
                fields += wait.fields()
            if outcome.response is None:
                problem = _refusal(caller, outcome.target, outcome.decision)
                problem.fields += fields
                return problem_response(problem, request)
            if caller.entry.tenant.envelope:
                return await _enveloped(request, outcome.response, outcome.decision, fields)
            return passed_through(outcome.response, fields, request)
        except GatewayProblem as problem:
            problem.fields += quota_fields(target.bound, problem.decision, legacy=settings.legacy_headers)
            if wait is not None:
                problem.fields += wait.fields()
            raise


class CheckView(LeanView):
    """``POST /check/<action_id>``: the decision only, for other gateways. ``?peek=1`` counts nothing."""

    async def post(self, request: LeanRequest, action_id: str) -> LeanResponse:
        runtime = runtime_of(request)
        gateway, settings = runtime.gateway, runtime.settings
        caller = await identified(request, gateway)
        charge = not _flag(request, "peek")
        target = gateway.target(caller, action_id)
        target = gateway.targets.charged(caller, target, Content(request.content, request.fields))
        decision = await gateway.decide(caller, target, request_id=request.request_id, charge=charge)
        target = gateway.targets.counted(caller, target, decision)
        fields = quota_fields(target.bound, decision, legacy=settings.legacy_headers)
        if not decision.allowed:
            problem = _refusal(caller, target, decision)
            problem.fields += fields
            return problem_response(problem, request)
        if charge:
            gateway.release(target, decision)
        response = json_response(described(caller, target, decision), request)
        response.fields += fields
        return response


class UsageView(LeanView):
    """``GET /metrics/<tenant_id>/<action_id>``: what an action has used, for its tenant and for signed-in people."""

    async def get(self, request: LeanRequest, tenant_id: str, action_id: str) -> LeanResponse:
        runtime = runtime_of(request)
        gateway = runtime.gateway
        if token := api_key(request):
            caller = await gateway.callers.identify(token, tenant_id, request)
        else:
            await readers.check(request, tenant_id)
            caller = await gateway.callers.on_behalf(tenant_id)
        target = gateway.target(caller, action_id)
        decision = await gateway.decide(caller, target, request_id=request.request_id, charge=False)
        data = usage(caller, target, decision)
        data["adaptive"] = await self._adaptive(runtime, target)
        return json_response(data, request)

    async def _adaptive(self, runtime: Runtime, target: InvokeTarget) -> dict[str, Any] | None:
        """What the multiplier follows and was last computed from; None when the policy does not adapt."""
        settings = target.plan.adaptive
        if settings is None:
            return None
        found: dict[str, Any] = {
            "threshold_ms": settings.latency_threshold_ms,
            "sensitivity": settings.sensitivity,
            "p95_ms": None,
            "samples": None,
            "pushed_back": None,
        }
        try:
            shown = await runtime.store.evidence(target.bound.stack)
        except StoreError:
            return found
        found["samples"] = shown.samples if shown else 0
        found["pushed_back"] = shown.pushback_ppm / PPM if shown else 0.0
        if shown and shown.p95_us:
            found["p95_ms"] = shown.p95_us / 1000
        return found


class PrometheusView(LeanView):
    """``GET /metrics``: for a scraper with the token, or from an allowed network."""

    async def get(self, request: LeanRequest) -> LeanResponse:
        if not scraper.may_read(request):
            raise GatewayProblem(
                401,
                "unauthorized",
                "Send METRICS_TOKEN as 'Authorization: Bearer <token>', or scrape from one of METRICS_NETWORKS.",
                fields=(("WWW-Authenticate", 'Bearer realm="metrics"'),),
            )
        runtime = runtime_of(request)
        try:
            found = await scrape.gather(runtime.store)
            found.faults = await runtime.faults(found.connections())
            found.queue = await runtime.queue()
        except StoreError as error:
            detail = "The numbers live in the limiter's store, which is unavailable."
            raise GatewayProblem(503, "limiter-unavailable", detail, retry_after_us=1_000_000) from error
        text = await prometheus.written(found, max_tenants=scraper.max_tenants())
        return LeanResponse(200, [("content-type", CONTENT_TYPE_LATEST)], text)


async def _enveloped(
    request: LeanRequest, response: UpstreamResponse, decision: Decision | None, fields: Fields
) -> LeanResponse:
    try:
        whole = response.body if response.chunks is None else b"".join([part async for part in response.chunks])
    except errors.OutcomeUnknown as error:
        raise GatewayProblem(error.status, "upstream-outcome-unknown", error.detail, decision=decision) from error
    return enveloped(response, whole or b"", fields, request, decision)


def _refusal(caller: Caller, target: InvokeTarget, decision: Decision | None) -> GatewayProblem:
    assert decision is not None, "a call is refused by a decision"
    return problems.refusal(
        decision,
        decision_id=_kept_id(caller, target, decision),
        tenant_id=caller.entry.tenant.tenant_id,
        action_id=target.action.action_id,
        reduced_status=target.plan.reduced_status,
    )


def _kept_id(caller: Caller, target: InvokeTarget, decision: Decision) -> str:
    tenant_id, action_id = caller.entry.tenant.tenant_id, target.action.action_id
    return decision_ids.kept(decision, tenant=tenant_id, action=action_id, key_prefix=caller.key_prefix)


def described(caller: Caller, target: InvokeTarget, decision: Decision) -> dict[str, Any]:
    """A decision as plain data."""
    return {
        "allowed": decision.allowed,
        "decision_id": _kept_id(caller, target, decision),
        "tenant_id": caller.entry.tenant.tenant_id,
        "action_id": target.action.action_id,
        "cost": decision.cost,
        "adaptive_multiplier": decision.multiplier,
        "degraded": decision.degraded,
        "limits": limits(decision),
    }


def limits(decision: Decision) -> list[dict[str, Any]]:
    """Every limit of a decision as plain data."""
    return [
        {
            **described_limit(state.limit),
            "used": state.used,
            "effective_limit": state.effective,
            "remaining": state.remaining,
            "reset_ms": max(0, state.reset_us) / 1000,
        }
        for state in decision.states
    ]


def described_limit(limit: Limit) -> dict[str, Any]:
    """A limit without its count as plain data; ``value``: whose count it is, of one that counts by a value."""
    found = {
        "name": limit.name,
        "algorithm": str(limit.algorithm),
        "counted_per": str(limit.counted_per),
        "policy": limit.policy_name or None,
        "policy_version": limit.policy_version or None,
        "quota": limit.quota,
        "window_seconds": limit.window_us // 1_000_000 or None,
        "burst": limit.burst or None,
        "shadow": limit.shadow,
    }
    if limit.counted_by:
        found["counted_by"] = limit.counted_by
    if limit.value:
        found["value"] = limit.value[: values.SHOWN]
    return found


def usage(caller: Caller, target: InvokeTarget, decision: Decision) -> dict[str, Any]:
    """Consumption under the names of the platform's first version: those of the tightest limit, then all limits."""
    state = headers.tightest(decision.states) or next(iter(decision.states), None)
    return {
        "tenant_id": caller.entry.tenant.tenant_id,
        "action_id": target.action.action_id,
        "current_usage": state.used if state else 0,
        "base_quota": (state.limit.burst or state.limit.quota) if state else None,
        "adaptive_multiplier": decision.multiplier,
        "effective_quota": state.effective if state else None,
        "window_seconds": (state.limit.window_us // 1_000_000 or None) if state else None,
        "degraded": decision.degraded,
        "limits": limits(decision),
    }
