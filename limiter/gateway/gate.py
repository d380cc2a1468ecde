"""One call, from the key it presents to the answer it gets: identify, decide, forward, record.

No ORM query and no thread hop on the way of a call whose tenant and key are held; no HTTP framework either.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import re
import secrets
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from limiter.core.errors import StoreError
from limiter.core.local import LocalShare
from limiter.core.store import Ended, Store
from limiter.core.types import PPM, Decision
from limiter.core.window import Call, Stack
from limiter.gateway import problems
from limiter.gateway.problems import Problem
from limiter.gateway.recorder import Recorder
from limiter.gateway.stacks import Bound, Stacks
from limiter.plan import Plan
from limiter.policies import PolicyUnavailable
from limiter.snapshot import DirectoryUnavailable, Snapshot, TenantEntry
from limiter.upstream import errors
from limiter.upstream.call import Upstream, UpstreamAnswer, UpstreamCall
from tenants import credentials
from tenants.directory import ActionSpec, KeySpec
from tenants.models.names import NAME

log = logging.getLogger(__name__)

_UPSTREAM_KIND = {
    errors.Unreachable: "upstream-unreachable",
    errors.OutcomeUnknown: "upstream-outcome-unknown",
    errors.Overloaded: "upstream-overloaded",
    errors.BreakerOpen: "upstream-breaker-open",
    errors.NotConfigured: "upstream-not-configured",
    errors.Disabled: "upstream-disabled",
}
_OUTCOME = {
    errors.Unreachable: "unreachable",
    errors.OutcomeUnknown: "unknown",
    errors.Overloaded: "upstream_busy",
}
_NOBODY = hashlib.sha256(secrets.token_bytes(32)).hexdigest()
"""What an unknown key is compared with, so that it takes as long as a known one."""


class Caller(NamedTuple):
    """Who calls: the prefix of the key that was presented ("" for a signed-in person), and for which tenant."""

    key_prefix: str
    entry: TenantEntry


class Target(NamedTuple):
    """What is called: the action, the plan its calls are decided by, and the limits bound to this caller."""

    action: ActionSpec
    plan: Plan
    bound: Bound


@dataclass(frozen=True, slots=True)
class Request:
    """A caller's request after its body was read and checked. Header names are in lower case."""

    request_id: str
    body: bytes
    headers: Mapping[str, str]


class Gateway:
    """Decides and forwards calls. One per worker and event loop."""

    def __init__(
        self,
        *,
        store: Store,
        snapshot: Snapshot,
        upstream: Upstream,
        local: LocalShare,
        recorder: Recorder,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.store = store
        self.snapshot = snapshot
        self.upstream = upstream
        self.recorder = recorder
        self.degraded_since: float | None = None
        self._local = local
        self._clock = clock
        self._stacks = Stacks()

    async def identify(self, token: str, tenant_id: str) -> Caller:
        """Who presents ``token``, acting for ``tenant_id`` ("" when the call does not say); raises Problem."""
        try:
            key = await self._key(token)
            entry = await self._entry(key, tenant_id)
        except DirectoryUnavailable as error:
            raise Problem(503, "directory-unavailable", str(error), retry_after_us=1_000_000) from error
        if entry is None:
            raise Problem(403, "forbidden", "This key may not act for that tenant.")
        if not entry.tenant.active:
            raise Problem(403, "tenant-suspended", f"Tenant {entry.tenant.tenant_id} is suspended.")
        return Caller(key.prefix, entry)

    async def on_behalf(self, tenant_id: str) -> Caller:
        """A tenant as seen by somebody who may look at it without a key; raises Problem."""
        try:
            entry = self.snapshot.held_tenant(tenant_id) or await self.snapshot.tenant(tenant_id)
        except DirectoryUnavailable as error:
            raise Problem(503, "directory-unavailable", str(error), retry_after_us=1_000_000) from error
        if entry is None:
            raise Problem(404, "not-found", "There is no such tenant.")
        return Caller("", entry)

    def target(self, caller: Caller, action_id: str) -> Target:
        """What ``action_id`` means for this caller; raises Problem."""
        tenant = caller.entry.tenant
        action = tenant.actions.get(action_id)
        if action is None:
            if not tenant.accept_unlisted_actions or not _is_name(action_id):
                raise Problem(404, "action-unknown", f"Tenant {tenant.tenant_id} has no action of this ID.")
            action = ActionSpec(id=None, action_id=action_id)
        if not action.enabled:
            raise Problem(403, "action-disabled", f"Action {action_id} is switched off.")
        try:
            plan = caller.entry.plan(action_id, self._clock())
        except PolicyUnavailable as error:
            raise Problem(503, "policy-unavailable", str(error), retry_after_us=5_000_000) from error
        return Target(action, plan, self._stacks.bound(plan, caller.entry.tenant, action_id, caller.key_prefix))

    async def decide(self, caller: Caller, target: Target, *, request_id: str, charge: bool = True) -> Decision:
        """Decide one call, in the store or, when it is away, as the policy says; raises Problem for ``closed``."""
        call = Call(
            decision_id=secrets.token_hex(12),
            cost=target.action.cost,
            charge=charge,
            context=f"{caller.key_prefix}|{request_id}",
        )
        try:
            decision = await self.store.decide(target.bound.stack, call)
        except StoreError as error:
            return self._without_store(target.plan, target.bound.stack, call, error)
        if self.degraded_since is not None:
            self._recovered()
        return decision

    async def forward(self, caller: Caller, target: Target, request: Request, decision: Decision) -> UpstreamAnswer:
        """Make an admitted call and see to it that its end is recorded; raises Problem."""
        tenant = caller.entry.tenant
        call = UpstreamCall(
            connection=tenant.connection,
            action=target.action,
            tenant_id=tenant.tenant_id,
            request_id=request.request_id,
            body=request.body,
            headers=request.headers,
            idempotency_key=request.headers.get("idempotency-key"),
        )
        try:
            answer = await self.upstream.invoke(call)
        except errors.UpstreamError as error:
            self._end(target, decision, _OUTCOME.get(type(error), "not_sent"), error.latency_us, _pushed_back(error))
            raise _problem(error) from error
        except BaseException:
            self._end(target, decision, "unknown", None)
            raise
        outcome = "upstream_error" if answer.status >= 500 else "answered"
        if answer.chunks is None:
            self._end(target, decision, outcome, answer.latency_us, answer.pushback)
        else:
            answer.chunks = self._until_end(answer, answer.chunks, target, decision, outcome)
        return answer

    def release(self, target: Target, decision: Decision) -> None:
        """End an admitted call that this gateway does not forward."""
        self._end(target, decision, "checked", None)

    @property
    def connections_seen(self) -> set[int]:
        """The connections that this worker has decided calls of."""
        return self._stacks.connections

    async def close(self) -> None:
        await self.recorder.close()

    async def _key(self, token: str) -> KeySpec:
        prefix = credentials.prefix_of(token) if token else None
        if prefix is None:
            raise problems.unauthorized()
        key = self.snapshot.held_key(prefix)
        if key is None:
            key = await self.snapshot.key(prefix)
        same = hmac.compare_digest(credentials.digest(token), key.digest if isinstance(key, KeySpec) else _NOBODY)
        if not isinstance(key, KeySpec) or not same or key.revoked:
            raise problems.unauthorized()
        if key.expires_at is not None and key.expires_at <= self._clock():
            raise problems.unauthorized()
        return key

    async def _entry(self, key: KeySpec, tenant_id: str) -> TenantEntry | None:
        """The tenant the key acts for; None when it may not act for the one that was named."""
        if key.tenant_id is None:
            if not tenant_id:
                raise Problem(400, "tenant-required", "A platform key has to name its tenant in X-Tenant-Id.")
            if tenant_id not in key.acts_for:
                return None
        elif tenant_id and tenant_id != key.tenant_id:
            return None
        wanted = key.tenant_id or tenant_id
        return self.snapshot.held_tenant(wanted) or await self.snapshot.tenant(wanted)

    def _without_store(self, plan: Plan, stack: Stack, call: Call, error: StoreError) -> Decision:
        if self.degraded_since is None:
            self.degraded_since = self._clock()
            log.warning("the limiter's store is away, deciding by each policy's failure mode: %s", error)
        if plan.store_failure == "closed":
            detail = "The limiter's store is away and this policy lets no call pass without it."
            raise Problem(503, "limiter-unavailable", detail, retry_after_us=1_000_000) from error
        if plan.store_failure == "local":
            return self._local.decide(stack, call)
        return Decision(
            allowed=True,
            decision_id=call.decision_id,
            at_us=int(self._clock() * 1_000_000),
            cost=call.cost,
            multiplier_ppm=PPM,
            states=(),
            degraded=True,
        )

    def _recovered(self) -> None:
        log.warning("the limiter's store answers again")
        self.degraded_since = None
        self._local.forget()

    def _end(
        self, target: Target, decision: Decision, outcome: str, latency_us: int | None, pushback: bool = False
    ) -> None:
        stack = target.bound.stack
        if decision.degraded:
            self._local.release(stack, decision.decision_id)
        ended = Ended(decision.decision_id, outcome, latency_us=latency_us, pushback=pushback)
        self.recorder.record(stack, ended, target.plan.adaptive)

    async def _until_end(
        self, answer: UpstreamAnswer, chunks: AsyncIterator[bytes], target: Target, decision: Decision, outcome: str
    ) -> AsyncIterator[bytes]:
        """The chunks as they come; the call has ended when they have, or when the caller is gone."""
        try:
            async for chunk in chunks:
                yield chunk
        except (errors.OutcomeUnknown, asyncio.CancelledError, GeneratorExit):
            outcome = "unknown"
            raise
        finally:
            self._end(target, decision, outcome, answer.latency_us, answer.pushback)


def _is_name(action_id: str) -> bool:
    return len(action_id) <= 128 and re.fullmatch(NAME.regex, action_id) is not None


def _pushed_back(error: errors.UpstreamError) -> bool:
    return isinstance(error, errors.Overloaded)


def _problem(error: errors.UpstreamError) -> Problem:
    kind = _UPSTREAM_KIND.get(type(error), "upstream-unreachable")
    return Problem(error.status, kind, error.detail, retry_after_us=error.retry_after_us)
