"""Revoking an API key from a tenant's page: confirmed first, and irrevocable."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.db.models import Q, QuerySet
from django.http import HttpRequest, JsonResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from dashboard.access import may_revoke
from dashboard.asking import body_of, reason_of, tenant_of, wrong
from quota_platform.base import versions
from quota_platform.base.api.serializer import explain
from tenants.models import ApiKey, Tenant


def keys_in_use(tenant: Tenant) -> QuerySet[ApiKey]:
    """The tenant's own keys that open the door now, newest first. Platform keys are not one tenant's to revoke."""
    ended = Q(revoked_at__isnull=False) | Q(expires_at__lte=timezone.now())
    return ApiKey.objects.filter(tenant=tenant).exclude(ended)


@require_POST
def revoke(request: HttpRequest) -> JsonResponse:
    """Say what would happen; with ``confirm`` do it, in the person's name and with their reason."""
    if not may_revoke(request.user):
        raise PermissionDenied
    try:
        with transaction.atomic():
            return _revoke(request)
    except ValidationError as error:
        return wrong(" ".join(error.messages))


def _revoke(request: HttpRequest) -> JsonResponse:
    body = body_of(request)
    tenant, reason = tenant_of(request, body), reason_of(body)
    key = versions.locked(keys_in_use(tenant).filter(prefix=_prefix(body))).first()
    if key is None:
        raise ValidationError(_("Choose a key that is still in use."))
    if body.get("confirm") is not True:
        return JsonResponse({"effect": _effect(tenant, key)})
    explain(key, reason)
    key.revoke()
    return JsonResponse(
        {"done": _("{tenant}: {key} is revoked. A caller needs a new key.").format(tenant=tenant.name, key=key)}
    )


def _prefix(body: dict[str, Any]) -> str:
    prefix = str(body.get("key", ""))
    return prefix if prefix.isascii() and prefix.isalnum() else ""


def _effect(tenant: Tenant, key: ApiKey) -> str:
    effect = [_("{tenant}: calls with {key} will be refused with 401, in every worker within a second.")]
    if keys_in_use(tenant).count() == 1:
        effect.append(_("It is the only key of {tenant}: nobody can call for it until there is another."))
    effect.append(_("You cannot take this back."))
    return " ".join(effect).format(tenant=tenant.name, key=key)
