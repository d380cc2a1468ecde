"""What an export is about: kind, time, filters, and the tenants that the person may see."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Any

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from limiter.reports.models import Export
from quota_platform.base import time_zones
from quota_platform.base.kept import kept_text

_BY_ACTION = {Export.Kind.EVENTS, Export.Kind.USAGE, Export.Kind.SUMMARY}

# A saved report keeps why its run was refused.
_END = kept_text("Choose an end after the start.")
_PDF = kept_text("A PDF is made of a summary only; choose the kind summary or another format.")
_NO_ACTIONS = kept_text("Policy changes are not kept by action; leave this empty.")
_NO_POLICIES = kept_text("Only refusals are kept by policy; leave this empty.")
_NAMES = kept_text("Give a list of names.")
_TOO_MANY = kept_text("Give at most 500 names.")
NO_ZONE = kept_text("This is no time zone. Give one like Europe/Berlin or UTC.")


@dataclass(frozen=True)
class Selection:
    """Empty filters hold everything; ``scope`` None is every tenant, an empty scope is none."""

    kind: str
    since: datetime
    until: datetime
    tenants: frozenset[str] = frozenset()
    actions: frozenset[str] = frozenset()
    policies: frozenset[str] = frozenset()
    scope: frozenset[str] | None = None
    time_zone: str = time_zones.UTC_NAME

    @property
    def zone(self) -> tzinfo:
        """The time zone of the times in the file."""
        return time_zones.zone(self.time_zone)

    @property
    def seen(self) -> frozenset[str] | None:
        """The tenants whose rows are in it; None is all."""
        if self.scope is None:
            return self.tenants or None
        return self.scope & self.tenants if self.tenants else self.scope

    def data(self) -> dict[str, Any]:
        """The selection as a manifest states it."""
        return {
            "kind": str(self.kind),
            "since": self.since.astimezone(UTC).isoformat(),
            "until": self.until.astimezone(UTC).isoformat(),
            "tenants": sorted(self.tenants),
            "actions": sorted(self.actions),
            "policies": sorted(self.policies),
            "scope": None if self.scope is None else sorted(self.scope),
            "time_zone": self.time_zone,
        }


def of(export: Export) -> Selection:
    """The selection of an export."""
    return Selection(
        kind=export.kind,
        since=export.since,
        until=export.until,
        tenants=frozenset(export.tenants),
        actions=frozenset(export.actions),
        policies=frozenset(export.policies),
        scope=None if export.scope is None else frozenset(export.scope),
        time_zone=export.time_zone,
    )


def check(export: Export) -> None:
    """Refuse what cannot be built, naming the field; raises ValidationError."""
    wrong: dict[str, str] = {}
    if export.since and export.until and export.since >= export.until:
        wrong["until"] = _(_END)
    if export.format == Export.Format.PDF and export.kind != Export.Kind.SUMMARY:
        wrong["format"] = _(_PDF)
    if export.actions and export.kind not in _BY_ACTION:
        wrong["actions"] = _(_NO_ACTIONS)
    if export.policies and export.kind != Export.Kind.EVENTS:
        wrong["policies"] = _(_NO_POLICIES)
    if export.time_zone not in time_zones.names():
        wrong["time_zone"] = _(NO_ZONE)
    for field in ("tenants", "actions", "policies"):
        names = getattr(export, field)
        if not isinstance(names, list) or not all(isinstance(n, str) and n and "\0" not in n for n in names):
            wrong[field] = _(_NAMES)
        elif len(names) > 500:
            wrong[field] = _(_TOO_MANY)
    if wrong:
        raise ValidationError(wrong)
