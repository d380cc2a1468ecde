"""The common part of every action from a tenant's page: reading the body, finding the tenant, reporting mistakes."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, JsonResponse
from django.utils.translation import gettext as _

from quota_platform.base import json_text
from quota_platform.base.reason import ReasonRefused
from quota_platform.base.reason import check as check_reason
from tenants.models import Tenant
from tenants.scope import tenants_of


def body_of(request: HttpRequest) -> dict[str, Any]:
    """The JSON object that was sent; raises ValidationError."""
    try:
        body = json_text.read(request.body)
    except json_text.JsonRefused as error:
        raise ValidationError(_("The request cannot be read. {error}").format(error=error)) from None
    if not isinstance(body, dict):
        raise ValidationError(_("The request cannot be read."))
    return body


def tenant_of(request: HttpRequest, body: dict[str, Any]) -> Tenant:
    """The tenant it is about, one of the person's own; raises PermissionDenied."""
    name = body.get("tenant")
    found = tenants_of(request.user).filter(tenant_id=name) if isinstance(name, str) and "\0" not in name else None
    tenant = found.select_related("connection").first() if found is not None else None
    if tenant is None:
        raise PermissionDenied
    return tenant


def reason_of(body: dict[str, Any]) -> str:
    """Why it is done, as the record keeps it; raises ValidationError."""
    try:
        reason = check_reason(str(body.get("reason", "")))
    except ReasonRefused as error:
        raise ValidationError(_("The reason: {error}").format(error=error)) from None
    if not reason:
        raise ValidationError(_("Give a reason: it is kept for everyone who reads the record."))
    return reason


def wrong(detail: str, *, status: int = 400) -> JsonResponse:
    return JsonResponse({"detail": detail}, status=status)
