"""What may be done from a tenant's page: raise a limit or let calls pass for a while, and take that back."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.db.models import Q
from django.http import Http404, HttpRequest, JsonResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from dashboard.access import may_act, may_end
from dashboard.asking import body_of, tenant_of, wrong
from limiter.policies import sentences
from limiter.policies.models import Override
from quota_platform.base import versions
from quota_platform.base.languages import number
from tenants.models import Tenant
from tenants.scope import tenants_of

MAX_MINUTES = 24 * 60
_EFFECTS = {"increase": Override.Effect.FACTOR, "shadow": Override.Effect.SHADOW}


@dataclass(frozen=True, slots=True)
class OverrideRequest:
    """What a person asks for, as it would be saved, and whether they have confirmed it."""

    override: Override
    minutes: int
    confirmed: bool
    seen: str
    """What a confirmation brings back of the question; empty from a page of the release before."""

    def effect(self, running: Iterable[Override]) -> str:
        """The effect in words, for the person to confirm, with the overrides already in force."""
        already = "; ".join(sentences.override(other) for other in running)
        effect = self._effect()
        return _("{effect} Already in force: {already}.").format(effect=effect, already=already) if already else effect

    def _effect(self) -> str:
        override = self.override
        which = _("limit {limit}").format(limit=override.limit_name) if override.limit_name else _("every limit")
        if override.effect == Override.Effect.SHADOW:
            effect = _(
                "{tenant}, {action}: {which} refuses nobody for {minutes} minutes, until {until} UTC. Its would-be"
                " refusals are recorded."
            )
        else:
            effect = _(
                "{tenant}, {action}: {which} is multiplied by {factor} for {minutes} minutes, until {until} UTC."
            )
        return effect.format(
            tenant=override.tenant.name,
            action=override.action.action_id if override.action else _("every action"),
            which=which,
            factor=number(override.factor),
            minutes=number(self.minutes),
            until=f"{override.ends_at:%H:%M}",
        )


@require_POST
def start(request: HttpRequest) -> JsonResponse:
    """Say what would happen; with ``confirm`` do it, in the person's name and with their reason."""
    try:
        asked = _asked(request)
        asked.override.full_clean(exclude=["created_by"])
    except (ValueError, TypeError, AttributeError, LookupError):
        return wrong(_("The request cannot be read."))
    except ValidationError as error:
        return wrong(" ".join(error.messages))
    with transaction.atomic():
        return _respond(asked)


def _respond(asked: OverrideRequest) -> JsonResponse:
    """The question, repeated if other overrides are in force than the page showed."""
    running = _running(asked.override)
    now = {"effect": asked.effect(running), "seen": _mark(*running)}
    if not asked.confirmed:
        return JsonResponse(now)
    if asked.seen not in ("", now["seen"]):
        return JsonResponse({**now, "detail": f"{_nothing_done()} {now['effect']}"}, status=409)
    asked.override.save()
    stored = Override.objects.get(pk=asked.override.pk)
    undo = f"/dashboard/api/actions/overrides/{stored.pk}/end/"
    return JsonResponse({"done": asked.effect(()), "undo": undo, "seen": _mark(stored)})


@require_POST
def end(request: HttpRequest, override_id: int) -> JsonResponse:
    """Take an override back: it ends now, if it is the one that the person has seen."""
    if not may_act(request.user):
        raise PermissionDenied
    try:
        seen = str(body_of(request).get("seen", ""))
    except ValidationError as error:
        return wrong(" ".join(error.messages))
    with transaction.atomic():
        own = Override.objects.filter(pk=override_id, tenant__in=tenants_of(request.user))
        override = versions.locked(own).first()
        if override is None:
            raise Http404
        if not may_end(request.user, override.created_by):
            raise PermissionDenied
        if seen not in ("", _mark(override)):
            says = f"{_nothing_done()} {sentences.override(override)}"
            return JsonResponse({"detail": says, "seen": _mark(override)}, status=409)
        return _end(override)


def _nothing_done() -> str:
    return _("Nothing was done: somebody has changed this since the page showed it. The present state:")


def _end(override: Override) -> JsonResponse:
    now = timezone.now()
    if override.ends_at > now:
        override.ends_at = max(now, override.starts_at + timedelta(milliseconds=1))
        override.save()
    return JsonResponse({"done": _("Taken back: your limits are as before.")})


def _asked(request: HttpRequest) -> OverrideRequest:
    if not may_act(request.user):
        raise PermissionDenied
    body = body_of(request)
    tenant = tenant_of(request, body)
    minutes = int(body.get("minutes", 0))
    if not 1 <= minutes <= MAX_MINUTES:
        raise ValidationError(_("Choose an end within {hours} hours.").format(hours=MAX_MINUTES // 60))
    return OverrideRequest(
        _override(request, tenant, body, minutes), minutes, body.get("confirm") is True, str(body.get("seen", ""))
    )


def _running(wanted: Override) -> list[Override]:
    """The overrides in force for the same limits, locked against other editors until the transaction ends."""
    rows = Override.objects.in_state(Override.State.ACTIVE, now=timezone.now()).filter(tenant=wanted.tenant)
    if wanted.action is not None:
        rows = rows.filter(Q(action=None) | Q(action=wanted.action))
    return list(versions.locked(rows.select_related("tenant", "action__tenant")).order_by("pk"))


def _mark(*overrides: Override) -> str:
    return versions.mark([versions.columns(override) for override in overrides])


def _override(request: HttpRequest, tenant: Tenant, body: dict[str, Any], minutes: int) -> Override:
    effect = _EFFECTS.get(str(body.get("kind")))
    if effect is None:
        raise ValidationError(_("There is no such action."))
    action_id = str(body.get("action", ""))
    action = tenant.actions.filter(action_id=action_id).first() if action_id else None
    if action_id and action is None:
        raise ValidationError(_("{tenant} has no action {action}.").format(tenant=tenant.name, action=action_id))
    now = timezone.now()
    return Override(
        tenant=tenant,
        action=action,
        limit_name=str(body.get("limit", "")),
        effect=effect,
        factor=_factor(body["factor"]) if effect == Override.Effect.FACTOR else None,
        starts_at=now,
        ends_at=now + timedelta(minutes=minutes),
        reason=str(body.get("reason", "")).strip(),
        created_by=request.user.get_username(),
    )


def _factor(given: Any) -> float:
    factor = float(given)
    if not math.isfinite(factor):
        raise ValidationError(_("The factor must be a number."))
    return factor
