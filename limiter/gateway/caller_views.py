"""What callers read with their own key, beside their calls. Served by the lean handler only."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import urlencode

from limiter.gateway.callers import Caller
from limiter.gateway.invocation import InvokeTarget
from limiter.gateway.problems import GatewayProblem
from limiter.gateway.runtime import Runtime
from limiter.gateway.views import described_limit, identified, limits, runtime_of
from quota_platform.base.lean.request import LeanRequest
from quota_platform.base.lean.response import LeanResponse, json_response
from quota_platform.base.lean.view import LeanView

_NOT_KEPT = (
    "No refusal of your tenant is kept under this decision ID. It may not be stored yet: try again in a few seconds."
)
MAX_ACTIONS = 100
"""Actions in one response of ``/limits``; ``next`` leads to the others."""


class DecisionView(LeanView):
    """``GET /decisions/<decision_id>``: why a call of the key's own tenant was refused."""

    async def get(self, request: LeanRequest, decision_id: str) -> LeanResponse:
        runtime = runtime_of(request)
        caller = await identified(request, runtime.gateway)
        found = await runtime.decisions.explained(caller.entry.tenant.tenant_id, decision_id)
        if found is None:
            raise GatewayProblem(404, "not-found", _NOT_KEPT)
        return json_response(found, request)


class LimitsView(LeanView):
    """``GET /limits``: every limit of each of the tenant's actions, as it stands for the key that asks."""

    async def get(self, request: LeanRequest) -> LeanResponse:
        runtime = runtime_of(request)
        caller = await identified(request, runtime.gateway)
        after = request.GET.get("after", "")
        actions = caller.entry.tenant.actions
        names = sorted(name for name, action in actions.items() if action.enabled and name > after)
        shown = names[:MAX_ACTIONS]
        following = f"/limits?{urlencode({'after': shown[-1]})}" if len(names) > len(shown) else None
        targets = [runtime.gateway.target(caller, name) for name in shown]
        found = await asyncio.gather(*(_standing(runtime, caller, target, request.request_id) for target in targets))
        data = {"tenant_id": caller.entry.tenant.tenant_id, "actions": found, "next": following}
        return json_response(data, request)


async def _standing(runtime: Runtime, caller: Caller, target: InvokeTarget, request_id: str) -> dict[str, Any]:
    """One action's limits. Few are looked at at a time, so that calls are decided in between."""
    async with runtime.peeks:
        decision = await runtime.gateway.decide(caller, target, request_id=request_id, charge=False)
    return {
        "action_id": target.action.action_id,
        "allowed": decision.allowed,
        "cost": decision.cost,
        "retry_after_ms": None if decision.retry_after_us is None else decision.retry_after_us / 1000,
        "adaptive_multiplier": decision.multiplier,
        "degraded": decision.degraded,
        "limits": limits(decision),
        **_by_value(target),
    }


def _by_value(target: InvokeTarget) -> dict[str, Any]:
    """The limits that count by a value of the call: what each value has. A count has only a call with one."""
    found = [described_limit(limit) for limit in target.plan.limits if limit.counted_by]
    return {"limits_by_value": found} if found else {}
