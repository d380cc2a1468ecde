"""Resetting a counter from a tenant's page: told before it is done, entered into the record, not to be taken back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from asgiref.sync import sync_to_async
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_POST

from dashboard.access import may_reset
from dashboard.asking import body_of, reason_of, tenant_of, wrong
from dashboard.revocation import keys_in_use
from limiter.core.types import MICROS, Algorithm, CountedPer
from limiter.gateway import counters
from limiter.gateway.counters import Counter
from limiter.gateway.gate import Gateway
from limiter.gateway.problems import Problem
from limiter.record import resets
from limiter.record.resets import Reset
from limiter.stores.errors import StoreError
from quota_platform.base import row_access
from tenants.models import Tenant

_AWAY = "The limiter's store does not answer: nothing was reset. Try again when it does."


@dataclass(frozen=True, slots=True)
class Asked:
    """Whose count of which limit, why, by whom, and whether they have confirmed it."""

    tenant: Tenant
    limit: str
    action: str
    key: str
    reason: str
    who: str
    confirmed: bool
    connection_is_own: bool


@require_POST
async def reset(request: HttpRequest) -> JsonResponse:
    """Say what would happen; with ``confirm`` do it, in the person's name and with their reason."""
    try:
        asked = await sync_to_async(_asked)(request)
        runtime = request.scope["state"]["runtime"]  # type: ignore[attr-defined]
        return await _answer(runtime.gateway, asked)
    except ValidationError as error:
        return wrong(" ".join(error.messages))
    except LookupError:
        return wrong("This limit is not in force here any more.")
    except Problem as problem:
        return wrong(problem.detail)
    except StoreError:
        return wrong(_AWAY, status=503)


async def _answer(gateway: Gateway, asked: Asked) -> JsonResponse:
    counter = await counters.find(
        gateway, asked.tenant.tenant_id, limit_name=asked.limit, action_id=asked.action, key_prefix=asked.key
    )
    _refuse(asked, counter)
    if not asked.confirmed:
        return JsonResponse({"effect": _effect(asked, counter)})
    told = _told(asked, counter)
    await sync_to_async(resets.note)(told, actor=asked.who, reason=asked.reason)
    try:
        await counters.reset(gateway, counter)
    except StoreError as error:
        failed = type(error).__name__
        await sync_to_async(resets.note)(told, actor=asked.who, reason=asked.reason, failed=failed)
        raise
    return JsonResponse({"done": f"{_whose(asked, counter)} counts from nothing again; it held {told.used:,} units."})


def _asked(request: HttpRequest) -> Asked:
    if not may_reset(request.user):
        raise PermissionDenied
    body = body_of(request)
    tenant = tenant_of(request, body)
    named: dict[str, Any] = {name: str(body.get(name, "")) for name in ("limit", "action", "key")}
    if named["key"] and not keys_in_use(tenant).filter(prefix=named["key"].replace("\0", "")).exists():
        raise ValidationError("Choose a key that is still in use.")
    return Asked(
        tenant=tenant,
        **named,
        reason=reason_of(body),
        who=request.user.get_username(),
        confirmed=body.get("confirm") is True,
        connection_is_own=row_access.may_change(request.user, tenant.connection),
    )


def _refuse(asked: Asked, counter: Counter) -> None:
    if counter.limit.algorithm is Algorithm.CONCURRENCY:
        raise ValidationError(
            "The slots of calls in flight come back when these calls end; forgetting them would let more run at once"
            " than the limit."
        )
    if counter.limit.counted_per is CountedPer.CONNECTION and not asked.connection_is_own:
        raise ValidationError(f"This counter is shared by all tenants of the connection. {row_access.NOT_YOURS}")


def _whose(asked: Asked, counter: Counter) -> str:
    """Which counter, in words."""
    where = {
        CountedPer.ACTION: f"{asked.tenant.name}, {asked.action}",
        CountedPer.TENANT: f"{asked.tenant.name}, all actions together",
        CountedPer.KEY: f"{asked.tenant.name}, key qk_{asked.key}_…",
        CountedPer.CONNECTION: f"All tenants of connection {asked.tenant.connection.name}",
    }[counter.limit.counted_per]
    return f"{where}: limit {counter.limit.name}"


def _effect(asked: Asked, counter: Counter) -> str:
    state, limit = counter.state, counter.limit
    return (
        f"{_whose(asked, counter)} forgets the {state.used:,} of {state.effective:,} units it holds. The next calls"
        f" find it empty, so the upstream may see up to twice the limit within {limit.window_us // MICROS:,} s. The"
        " multiplier stays as it is. This cannot be taken back."
    )


def _told(asked: Asked, counter: Counter) -> Reset:
    return Reset(
        tenant_id=asked.tenant.tenant_id,
        action_id=asked.action,
        key_prefix=asked.key,
        limit_name=counter.limit.name,
        counted_per=counter.limit.counted_per.value,
        used=counter.state.used,
        effective_limit=counter.state.effective,
    )
