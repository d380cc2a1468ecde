"""The gateway's HTTP surface: each view parses, calls the gateway, and answers.

These are DRF views with a dispatch of their own: DRF's negotiation, parsing and rendering cost more than the rest of
a call, and its synchronous authentication would hop to a thread. They are served by the lean handler only.
"""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from prometheus_client import CONTENT_TYPE_LATEST
from rest_framework.views import APIView

from limiter.core import headers
from limiter.core.errors import StoreError
from limiter.core.types import Decision
from limiter.gateway import body, problems, prometheus, readers, scraper
from limiter.gateway.answers import enveloped, json_answer, passed_through, quota_fields, request_id
from limiter.gateway.callers import Caller
from limiter.gateway.gate import Request, Target
from limiter.gateway.problems import Problem
from limiter.gateway.runtime import Runtime
from limiter.upstream import errors
from limiter.upstream.call import UpstreamAnswer


class GatewayView(APIView):
    """Base of the gateway's views. ``request`` is Django's own; problems are raised and rendered by the handler."""

    authentication_classes = ()
    permission_classes = ()
    schema = None

    async def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:  # type: ignore[override]
        handler = getattr(self, request.method.lower(), None) if request.method in self.allowed_methods else None
        if handler is None:
            allowed = ", ".join(sorted(set(self.allowed_methods) - {"OPTIONS"}))
            raise Problem(405, "method-not-allowed", f"Use {allowed} here.", fields=(("Allow", allowed),))
        response: HttpResponseBase = await handler(request, *args, **kwargs)
        return response

    @property
    def runtime(self) -> Runtime:
        """This worker's parts, put into the ASGI state when it started."""
        runtime: Runtime = self.request.scope["state"]["runtime"]  # type: ignore[attr-defined]
        return runtime

    async def identified(self, request: HttpRequest) -> Caller:
        """Who calls, by the key in Authorization or X-API-Key; raises Problem."""
        return await self.runtime.gateway.callers.identify(api_key(request), request.META.get("HTTP_X_TENANT_ID", ""))


def api_key(request: HttpRequest) -> str:
    """The key a request presents, "" when there is none; two different ones are none."""
    scheme, _, token = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
    bearer = token.strip() if scheme.lower() == "bearer" else ""
    plain: str = request.META.get("HTTP_X_API_KEY", "")
    if bearer and plain and bearer != plain:
        return ""
    return bearer or plain


class InvokeView(GatewayView):
    """``POST /invoke/<action_id>``: decide, forward, answer."""

    async def post(self, request: HttpRequest, action_id: str) -> HttpResponseBase:
        gateway, settings = self.runtime.gateway, self.runtime.settings
        caller = await self.identified(request)
        target = gateway.target(caller, action_id)
        content = await body.read(
            request.receive,  # type: ignore[attr-defined]
            declared=request.META.get("CONTENT_LENGTH", ""),
            cap=settings.max_body_bytes,
            timeout_s=settings.body_timeout_s,
        )
        body.check_json(content)
        call = Request(request_id=request_id(request), body=content, headers=_lower(request))
        try:
            outcome = await gateway.invoke(caller, target, call)
            if outcome.answer is None:
                raise _refusal(caller, target, outcome.decision)
            return await self._answer(request, caller, target, outcome.answer, outcome.decision)
        except Problem as problem:
            problem.fields += self._fields(target, problem.decision)
            raise

    def _fields(self, target: Target, decision: Decision | None) -> list[tuple[str, str]]:
        return quota_fields(target.bound, decision, legacy=self.runtime.settings.legacy_headers)

    async def _answer(
        self, request: HttpRequest, caller: Caller, target: Target, answer: UpstreamAnswer, decision: Decision | None
    ) -> HttpResponseBase:
        fields = self._fields(target, decision)
        if not caller.entry.tenant.envelope:
            return passed_through(answer, fields, request)
        try:
            whole = answer.body if answer.chunks is None else b"".join([part async for part in answer.chunks])
        except errors.OutcomeUnknown as error:
            raise Problem(error.status, "upstream-outcome-unknown", error.detail, decision=decision) from error
        return enveloped(answer, whole or b"", fields, request, decision)


class CheckView(GatewayView):
    """``POST /check/<action_id>``: the decision only, for other gateways. ``?peek=1`` counts nothing."""

    async def post(self, request: HttpRequest, action_id: str) -> HttpResponseBase:
        gateway, settings = self.runtime.gateway, self.runtime.settings
        caller = await self.identified(request)
        target = gateway.target(caller, action_id)
        charge = request.GET.get("peek", "") in ("", "0")
        decision = await gateway.decide(caller, target, request_id=request_id(request), charge=charge)
        fields = quota_fields(target.bound, decision, legacy=settings.legacy_headers)
        if not decision.allowed:
            problem = _refusal(caller, target, decision)
            problem.fields += fields
            raise problem
        if charge:
            gateway.release(target, decision)
        response = json_answer(described(caller, target, decision), request)
        for name, value in fields:
            response[name] = value
        return response


class UsageView(GatewayView):
    """``GET /metrics/<tenant_id>/<action_id>``: what an action has used, for its tenant and for signed-in people."""

    async def get(self, request: HttpRequest, tenant_id: str, action_id: str) -> HttpResponseBase:
        gateway = self.runtime.gateway
        if token := api_key(request):
            caller = await gateway.callers.identify(token, tenant_id)
        else:
            await readers.check(request, tenant_id)
            caller = await gateway.callers.on_behalf(tenant_id)
        target = gateway.target(caller, action_id)
        decision = await gateway.decide(caller, target, request_id=request_id(request), charge=False)
        return json_answer(usage(caller, target, decision), request)


class PrometheusView(GatewayView):
    """``GET /metrics``: for a scraper with the token, or from an allowed network."""

    async def get(self, request: HttpRequest) -> HttpResponseBase:
        if not scraper.may_read(request):
            raise Problem(
                401,
                "unauthorized",
                "Send METRICS_TOKEN as 'Authorization: Bearer <token>', or scrape from one of METRICS_NETWORKS.",
                fields=(("WWW-Authenticate", 'Bearer realm="metrics"'),),
            )
        try:
            found = await prometheus.gather(self.runtime.store)
        except StoreError as error:
            detail = "The numbers live in the limiter's store, which is away."
            raise Problem(503, "limiter-unavailable", detail, retry_after_us=1_000_000) from error
        return HttpResponse(prometheus.page(found), content_type=CONTENT_TYPE_LATEST)


def _refusal(caller: Caller, target: Target, decision: Decision | None) -> Problem:
    assert decision is not None, "a call is refused by a decision"
    return problems.refusal(
        decision,
        tenant_id=caller.entry.tenant.tenant_id,
        action_id=target.action.action_id,
        reduced_status=target.plan.reduced_status,
    )


def _lower(request: HttpRequest) -> dict[str, str]:
    """The caller's headers by lower-case name."""
    return {name.decode("latin1"): value.decode("latin1") for name, value in request.scope["headers"]}  # type: ignore[attr-defined]


def described(caller: Caller, target: Target, decision: Decision) -> dict[str, Any]:
    """A decision as plain data."""
    return {
        "allowed": decision.allowed,
        "decision_id": decision.decision_id,
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
            "name": state.limit.name,
            "algorithm": str(state.limit.algorithm),
            "counted_per": str(state.limit.counted_per),
            "policy": state.limit.policy_name,
            "policy_version": state.limit.policy_version,
            "quota": state.limit.quota,
            "window_seconds": state.limit.window_us // 1_000_000 or None,
            "burst": state.limit.burst or None,
            "used": state.used,
            "effective_limit": state.effective,
            "remaining": state.remaining,
            "reset_ms": max(0, state.reset_us) / 1000,
            "shadow": state.limit.shadow,
        }
        for state in decision.states
    ]


def usage(caller: Caller, target: Target, decision: Decision) -> dict[str, Any]:
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
