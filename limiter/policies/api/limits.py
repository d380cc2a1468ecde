"""The limits inside a policy's JSON: a list that replaces the stored one, name by name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from rest_framework import serializers
from rest_framework.exceptions import PermissionDenied, ValidationError

from limiter.policies import floors
from limiter.policies.compiled import PolicyInvalid, compile_policy
from limiter.policies.models import QuotaLimit, QuotaPolicy
from limiter.policies.models.limit import MAX_ADAPTIVE_WINDOW_S, adapts_by_default
from quota_platform.base.api.serializer import StrictSerializer, clean
from quota_platform.base.versions import columns


class LimitSerializer(StrictSerializer[QuotaLimit]):
    """One limit, named within its policy."""

    adaptive = serializers.BooleanField(
        required=False,
        help_text="Shrinks with the policy's multiplier. Left out of a new limit: true for a window of up to"
        f" {MAX_ADAPTIVE_WINDOW_S} s and for concurrency, false for a longer window; of a stored one: as it is.",
    )

    class Meta:
        model = QuotaLimit
        fields = [
            *("name", "algorithm", "quota", "window_seconds", "burst", "lease_seconds", "counted_per", "adaptive"),
            *("counted_by", "max_values"),
            *("shared", "share_weight", "share_floor", "share_ceiling", "share_class"),
        ]
        validators: list[Any] = []


@dataclass
class LimitEdit:
    """What turns a policy's stored limits into the wanted ones; nothing is saved before :meth:`save`."""

    wanted: list[QuotaLimit] = field(default_factory=list)
    added: list[QuotaLimit] = field(default_factory=list)
    changed: list[QuotaLimit] = field(default_factory=list)
    removed: list[QuotaLimit] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.added or self.changed or self.removed)

    def require(self, user: Any) -> None:
        """The admin asks for permission on each kind of change of a limit, so this does too."""
        needed = {"add": self.added, "change": self.changed, "delete": self.removed}
        missing = [verb for verb, rows in needed.items() if rows and not user.has_perm(f"limiter.{verb}_quotalimit")]
        if missing:
            raise PermissionDenied(f"You may not {' or '.join(missing)} limits.")

    def save(self, policy: QuotaPolicy) -> None:
        for line in self.removed:
            line.delete()
        for line in (*self.changed, *self.added):
            line.policy = policy  # which may have been without a key when the line was made
            line.save()


def plan(policy: QuotaPolicy, lines: Iterable[Mapping[str, Any]]) -> LimitEdit:
    """Compare the wanted lines with the stored ones; raises ValidationError naming line and field."""
    stored = {line.name: line for line in policy.limits.all()} if policy.pk else {}
    edit, errors = LimitEdit(), _duplicates(lines)
    for place, values in enumerate(lines):
        line = stored.pop(values["name"], None) or QuotaLimit(policy=policy)
        before = columns(line)
        defaults = {"adaptive": line.adaptive if line.pk else adapts_by_default(values.get("window_seconds"))}
        for column in LimitSerializer.Meta.fields:
            default = defaults.get(column, QuotaLimit._meta.get_field(column).get_default())  # type: ignore[union-attr]
            setattr(line, column, values.get(column, default))
        edit.wanted.append(line)
        if line.pk is None or columns(line) != before:
            (edit.added if line.pk is None else edit.changed).append(line)
            try:
                clean(line, exclude={"policy"})
            except ValidationError as error:
                errors.setdefault(place, {}).update(error.detail)
    edit.removed = list(stored.values())
    if errors:
        raise ValidationError({"limits": {str(place): detail for place, detail in errors.items()}})
    _compile(policy, edit.wanted)
    return edit


def _duplicates(lines: Iterable[Mapping[str, Any]]) -> dict[int, Any]:
    names = [line["name"] for line in lines]
    repeated = {name for name, count in Counter(names).items() if count > 1}
    message = "Two limits of one policy cannot have the same name."
    return {
        place: {"name": [message]}
        for place, name in enumerate(names)
        if name in repeated and names.index(name) != place
    }


def _compile(policy: QuotaPolicy, limits: list[QuotaLimit]) -> None:
    """Ask the workers' own compiler, which no form rule can be ahead of."""
    try:
        compile_policy(policy, limits)
    except PolicyInvalid as error:
        if error.limit is None:
            raise ValidationError({error.field: [error.remedy]}) from None
        place = next((n for n, line in enumerate(limits) if line.name == error.limit), 0)
        raise ValidationError({"limits": {str(place): {error.field: [error.remedy]}}}) from None
    too_much = {limits.index(line): {"share_floor": [remedy]} for line, remedy in floors.faults(policy, limits)}
    if too_much:
        raise ValidationError({"limits": {str(place): detail for place, detail in too_much.items()}})
