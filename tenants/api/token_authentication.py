"""``Authorization: Token …`` at the management API."""

from __future__ import annotations

from typing import Any

from django.utils import timezone
from rest_framework.exceptions import AuthenticationFailed, PermissionDenied
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request

from quota_platform.base.api.tokens import BoundedTokenAuthentication
from tenants.models import ApiToken


class ApiTokenAuthentication(BoundedTokenAuthentication):
    """Reads the token from the database with each request: one that is revoked opens nothing any more."""

    def authenticate(self, request: Request) -> Any:
        found = super().authenticate(request)
        if found is not None and found[1].scope == ApiToken.Scope.READ and request.method not in SAFE_METHODS:
            raise PermissionDenied("This token may only read; make one with the scope 'all' to change something.")
        return found

    def authenticate_credentials(self, key: str) -> tuple[Any, ApiToken]:
        row = ApiToken.objects.presented(key)
        if row is None or row.revoked_at is not None or not row.user.is_active:
            raise AuthenticationFailed("Invalid token.")
        if row.has_expired:
            raise AuthenticationFailed("This token has expired; make a new one.")
        ApiToken.objects.note_use(row, timezone.now())
        return row.user, row
