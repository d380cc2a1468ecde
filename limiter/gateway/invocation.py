"""The values of one call on its way through the gateway: its target, its request and its outcome."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from limiter.core.types import Decision
from limiter.gateway.stacks import Bound
from limiter.gateway.waiting import Wait
from limiter.policies.plan import EffectivePolicy
from limiter.upstream.call import UpstreamResponse
from quota_platform.base.lean.request import Departure
from tenants.directory import ActionSpec


class InvokeTarget(NamedTuple):
    """The target of a call: the action, the plan its calls are decided by, and the limits bound to this caller.

    ``cost``: units of the call; the least that one can cost while its content is not read.
    """

    action: ActionSpec
    plan: EffectivePolicy
    bound: Bound
    cost: int = 1


class InvokeRequest(NamedTuple):
    """A caller's request after its body was read and checked. Header names are in lower case.

    ``wait``: how long it may wait for its turn; None when it does not. ``departure``: tells when its caller hangs up.
    """

    request_id: str
    body: bytes
    headers: Mapping[str, str]
    wait: Wait | None = None
    departure: Departure | None = None


class Outcome(NamedTuple):
    """How a call went. No ``response``: refused by ``decision``. No ``decision``: a remembered response.

    ``target``: the one it was decided by, which an edit may have changed while it waited.
    """

    target: InvokeTarget
    response: UpstreamResponse | None = None
    decision: Decision | None = None
