"""Writes that may ask before they cut a limit below its use of the last day, or save what a form would warn about."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request

from limiter.policies.cuts import Hit
from quota_platform.base.api.errors import Conflict
from tenants.scope import tenants_of

_MAX_LISTED = 100
ASKS = (
    "Send false to be asked: a limit that would fall below its use of the last 24 hours then gets a 409 that lists the"
    " tenants it hits, and nothing is saved. True, or left out, saves."
)
WARNS = (
    "Send false to be asked: a policy that the form would warn about then gets a 409 with the same sentences in"
    " `warnings`, and nothing is saved. True, or left out, saves."
)


class ConfirmCutField(serializers.BooleanField):
    """Beside the row's own fields."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"write_only": True, "required": False, "help_text": ASKS, **kwargs})


def confirmed(request: Request) -> bool:
    """Whether a removal's ``confirm_cut`` saves without asking; raises DRF's ValidationError if it is no yes or no."""
    if "confirm_cut" not in request.query_params:
        return True
    try:
        return bool(ConfirmCutField().run_validation(request.query_params["confirm_cut"]))
    except ValidationError as error:
        raise ValidationError({"confirm_cut": error.detail}) from None


class ConfirmWarningsField(serializers.BooleanField):
    """Beside the row's own fields: warnings are no part of the row, and so of its ETag."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"write_only": True, "required": False, "help_text": WARNS, **kwargs})


def ask_about(warnings: Sequence[str]) -> None:
    """Refuse an edit with these."""
    if warnings:
        said = "The form would warn about this policy; nothing was saved. Send confirm_warnings: true to save."
        raise Conflict(said, warnings=list(warnings))


def ask(hits: Sequence[Hit], user: Any, *, how: str = "Send confirm_cut: true to save.") -> None:
    """Refuse an edit with these hits, and list the tenants that the caller sees."""
    if not hits:
        return
    seen = set(tenants_of(user).values_list("tenant_id", flat=True))
    listed = [hit for hit in hits if hit.tenant.tenant_id in seen][:_MAX_LISTED]
    raise Conflict(
        f"A limit would fall below its use of the last 24 hours; nothing was saved. {how}",
        cuts=[
            {
                "tenant": hit.tenant.tenant_id,
                "action": hit.peak.action_id,
                "limit": hit.peak.limit_name,
                "used": hit.peak.used,
                "units": hit.limit,
            }
            for hit in listed
        ],
        more_cuts=len(hits) - len(listed),
    )
