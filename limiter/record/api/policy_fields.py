"""The policy of a limit in a response: null for a limit that no policy has, such as the learned one in flight."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers


class PolicyNameField(serializers.CharField):
    """Rows keep an empty name where there is no policy."""

    def __init__(self, **options: Any) -> None:
        super().__init__(read_only=True, allow_null=True, help_text="Null for a limit that no policy has.", **options)

    def to_representation(self, value: str) -> str | None:  # type: ignore[override]
        return super().to_representation(value) or None


class PolicyVersionField(serializers.IntegerField):
    """Rows keep 0 where there is no policy; versions begin at 1."""

    def __init__(self, **options: Any) -> None:
        super().__init__(read_only=True, allow_null=True, help_text="Null where the policy is.", **options)

    def to_representation(self, value: int) -> int | None:  # type: ignore[override]
        return super().to_representation(value) or None
