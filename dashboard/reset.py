"""Resetting a counter from a tenant's page: confirmed first, entered into the record, irrevocable."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from asgiref.sync import sync_to_async
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, JsonResponse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from dashboard.access import may_reset
from dashboard.asking import body_of, reason_of, tenant_of, wrong
from dashboard.revocation import keys_in_use
from limiter.core.algorithms import rules_of
from limiter.core.types import MICROS, CountedPer
from limiter.gateway import counters
from limiter.gateway.counters import Counter
from limiter.gateway.gate import Gateway
from limiter.record import resets
from limiter.record.resets import Reset
from limiter.stores.errors import StoreError
from quota_platform.base import row_access
from quota_platform.base.languages import number
from quota_platform.base.lean.problem import Problem
from tenants.models import Tenant


@dataclass(frozen=True, slots=True)
class ResetRequest:
    """The tenant, limit, reason and person of a reset, and whether the person has confirmed it."""

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
        return await _respond(runtime.gateway, asked)
    except ValidationError as error:
        return wrong(" ".join(error.messages))
    except LookupError:
        return wrong(_("This limit is no longer in force here."))
    except Problem as problem:
        return wrong(problem.detail)
    except StoreError:
        return wrong(_("The limiter's store is unavailable: nothing was reset. Try again later."), status=503)


async def _respond(gateway: Gateway, asked: ResetRequest) -> JsonResponse:
    counter = await counters.find(
        gateway, asked.tenant.tenant_id, limit_name=asked.limit, action_id=asked.action, key_prefix=asked.key
    )
    _refuse(asked, counter)
    if not asked.confirmed:
        return JsonResponse({"effect": _effect(asked, counter)})
    data = _described(asked, counter)
    await sync_to_async(resets.note)(data, actor=asked.who, reason=asked.reason)
    try:
        await counters.reset(gateway, counter)
    except StoreError as error:
        failed = type(error).__name__
        await sync_to_async(resets.note)(data, actor=asked.who, reason=asked.reason, failed=failed)
        raise
    done = _("{counter} starts from zero again; it held {used} units.")
    return JsonResponse({"done": done.format(counter=_whose(asked, counter), used=number(data.used))})


def _asked(request: HttpRequest) -> ResetRequest:
    if not may_reset(request.user):
        raise PermissionDenied
    body = body_of(request)
    tenant = tenant_of(request, body)
    named: dict[str, Any] = {name: str(body.get(name, "")) for name in ("limit", "action", "key")}
    if named["key"] and not keys_in_use(tenant).filter(prefix=named["key"].replace("\0", "")).exists():
        raise ValidationError(_("Choose a key that is still in use."))
    return ResetRequest(
        tenant=tenant,
        **named,
        reason=reason_of(body),
        who=request.user.get_username(),
        confirmed=body.get("confirm") is True,
        connection_is_own=row_access.may_change(request.user, tenant.connection),
    )


def _refuse(asked: ResetRequest, counter: Counter) -> None:
    if refusal := rules_of(counter.limit.algorithm).no_reset:
        raise ValidationError(_(refusal))
    if counter.limit.counted_per is CountedPer.CONNECTION and not asked.connection_is_own:
        raise ValidationError(_("All tenants of the connection share this counter.") + f" {row_access.NOT_YOURS}")


def _whose(asked: ResetRequest, counter: Counter) -> str:
    """Which counter, in words."""
    where = {
        CountedPer.ACTION: _("{tenant}, {action}: limit {limit}"),
        CountedPer.TENANT: _("{tenant}, all actions together: limit {limit}"),
        CountedPer.KEY: _("{tenant}, key qk_{key}_…: limit {limit}"),
        CountedPer.CONNECTION: _("All tenants of connection {connection}: limit {limit}"),
    }[counter.limit.counted_per]
    tenant, connection = asked.tenant.name, asked.tenant.connection.name
    return where.format(
        tenant=tenant, action=asked.action, key=asked.key, connection=connection, limit=counter.limit.name
    )


def _effect(asked: ResetRequest, counter: Counter) -> str:
    state, limit = counter.state, counter.limit
    return _(
        "{counter} forgets the {used} of {effective} units it holds, so the upstream may see up to twice the limit"
        " within {window} s. Cuts stay as they are. You cannot take this back."
    ).format(
        counter=_whose(asked, counter),
        used=number(state.used),
        effective=number(state.effective),
        window=number(limit.window_us // MICROS),
    )


def _described(asked: ResetRequest, counter: Counter) -> Reset:
    return Reset(
        tenant_id=asked.tenant.tenant_id,
        action_id=asked.action,
        key_prefix=asked.key,
        limit_name=counter.limit.name,
        counted_per=counter.limit.counted_per.value,
        used=counter.state.used,
        effective_limit=counter.state.effective,
    )
