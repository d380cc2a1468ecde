"""What a policy's form says while it is being typed: the sentences a saved policy would have."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, JsonResponse

from limiter.policies import sentences
from limiter.policies.advice import advice
from limiter.policies.models import QuotaLimit, QuotaPolicy

_MAY_BE_MISSING = ("name", "quota", "window_seconds", "burst", "lease_seconds")


def preview(model_admin: Any, request: HttpRequest) -> HttpResponse:
    """Respond to the posted form with ``{"sentences": [...], "advice": [...], "shadow": bool}``. Saves nothing.

    A missing or wrong value is an ellipsis; the form itself names the fault.
    """
    if not model_admin.has_view_or_change_permission(request):
        raise PermissionDenied
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    return JsonResponse(in_words(*typed(model_admin, request)))


def in_words(policy: QuotaPolicy, lines: list[QuotaLimit]) -> dict[str, Any]:
    """What the panel above the form shows."""
    return {
        "sentences": sentences.policy(policy, lines),
        "advice": advice(policy, lines),
        "shadow": policy.mode == QuotaPolicy.Mode.SHADOW,
    }


def typed(model_admin: Any, request: HttpRequest) -> tuple[QuotaPolicy, list[QuotaLimit]]:
    """The policy and limits of a posted form, as far as they can be read."""
    return _typed_policy(model_admin, request), _typed_limits(model_admin, request)


def _typed_policy(model_admin: Any, request: HttpRequest) -> QuotaPolicy:
    """The policy with every field that could be read; the others keep their defaults."""
    form = model_admin.get_form(request)(request.POST)
    form.is_valid()
    policy: QuotaPolicy = form.instance
    return policy


def _typed_limits(model_admin: Any, request: HttpRequest) -> list[QuotaLimit]:
    (inline,) = model_admin.get_inline_instances(request)
    form_class = inline.get_formset(request).form
    return [
        _typed_limit(form_class(request.POST, prefix=prefix))
        for prefix in _prefixes(request)
        if not request.POST.get(f"{prefix}-DELETE")
    ]


def _prefixes(request: HttpRequest) -> list[str]:
    total = request.POST.get("limits-TOTAL_FORMS", "")
    count = int(total) if total.isascii() and total.isdigit() and len(total) < 4 else 0
    return [f"limits-{index}" for index in range(count)]


def _typed_limit(form: forms.ModelForm) -> QuotaLimit:
    form.is_valid()
    limit: QuotaLimit = form.instance
    for field in _MAY_BE_MISSING:
        if field in form.errors:
            setattr(limit, field, None)
    return limit
