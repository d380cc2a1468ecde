"""Earlier versions of a policy: what each said, how two differ, and how one is put back in force."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Model
from django.utils.translation import gettext as _

from limiter.policies import sentences
from limiter.policies.models import QuotaLimit, QuotaPolicy
from limiter.policies.models.version import one_version
from quota_platform.base import records
from quota_platform.base.kept import kept_text
from quota_platform.base.languages import number

_UNCOMPARED = {"id", "policy", "version"}
RESTORED = kept_text("Restored version {version}")


@dataclass(frozen=True, slots=True)
class PolicyVersion:
    """One version as it was: the policy and its limits as unsaved rows, who made it, when and why."""

    version: int
    policy: QuotaPolicy
    limits: tuple[QuotaLimit, ...]
    at: datetime
    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that two versions say differently. An empty side means that it was not there."""

    field: str
    old: str
    new: str


def version_of(policy_id: int, version: int) -> PolicyVersion | None:
    """A policy as of one version, or None when its history knows no such version."""
    record = (
        QuotaPolicy.history.filter(id=policy_id, version=version)
        .exclude(history_type="-")
        .select_related("history_user")
        .order_by("-history_id")
        .first()
    )
    if record is None:
        return None
    return PolicyVersion(
        version=version,
        policy=record.instance,
        limits=tuple(limits_by_version(policy_id, [version])[version]),
        at=record.history_date,
        by=records.editor(record),
        reason=records.reason(record),
    )


def limits_by_version(policy_id: int, versions: Iterable[int]) -> dict[int, list[QuotaLimit]]:
    """The limits that each of the versions had, oldest limit first; one query however many versions."""
    wanted = sorted(set(versions))
    changes: list[Any] = list(
        QuotaLimit.history.filter(policy_id=policy_id, policy_version__lte=max(wanted, default=0)).order_by(
            "policy_version", "history_id"
        )
    )
    found: dict[int, list[QuotaLimit]] = {}
    present: dict[int, Any] = {}
    taken = 0
    for version in wanted:
        while taken < len(changes) and changes[taken].policy_version <= version:
            change = changes[taken]
            present.pop(change.id, None) if change.history_type == "-" else present.update({change.id: change})
            taken += 1
        found[version] = [present[limit_id].instance for limit_id in sorted(present)]
    return found


def policy_differences(old: QuotaPolicy, new: QuotaPolicy) -> list[Difference]:
    """What the policies' own fields say differently."""
    return _changed_fields(old, new)


def limit_differences(old: Iterable[QuotaLimit], new: Iterable[QuotaLimit]) -> list[Difference]:
    """The differences between two versions' limits, one entry for each field that changed."""
    before = {line.pk: line for line in old}
    after = {line.pk: line for line in new}
    differences = []
    for pk in sorted(before.keys() | after.keys()):
        if pk not in after:
            differences.append(Difference(_limit(before[pk]), sentences.brief(before[pk]), ""))
        elif pk not in before:
            differences.append(Difference(_limit(after[pk]), "", sentences.brief(after[pk])))
        else:
            differences += _changed_fields(before[pk], after[pk], of=f"{_limit(before[pk])}: ")
    return differences


def _limit(line: QuotaLimit) -> str:
    return _("Limit {name}").format(name=line.name)


def _changed_fields(old: Model, new: Model, *, of: str = "") -> list[Difference]:
    fields = [field for field in old._meta.concrete_fields if field.name not in _UNCOMPARED]
    return [
        Difference(f"{of}{field.verbose_name}", _shown(old, field.name), _shown(new, field.name))
        for field in fields
        if getattr(old, field.name) != getattr(new, field.name)
    ]


def _shown(row: Model, field: str) -> str:
    display = getattr(row, f"get_{field}_display", None)
    value = display() if display else getattr(row, field)
    if value is None:
        return ""
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    return number(value) if isinstance(value, int) else str(value)


@transaction.atomic
def restore(policy_id: int, *, version: int, reason: str = "") -> QuotaPolicy:
    """Restore a policy and its limits as of ``version``, as a new version; all or nothing.

    Raises ``LookupError`` when there is no such version, and ``ValidationError`` when it breaks a rule of today
    (for instance because another policy has taken its name). A deleted policy comes back.
    """
    then = version_of(policy_id, version)
    if then is None:
        raise LookupError(f"policy {policy_id} has no version {version}")
    with one_version(reason or RESTORED.format(version=version)):
        policy = then.policy
        policy._state.adding = False
        policy.full_clean()
        policy.save()
        _put_limits(policy, then.limits)
    return policy


def _put_limits(policy: QuotaPolicy, wanted: Iterable[QuotaLimit]) -> None:
    """Let the policy have exactly these limits, under the row ids they had."""
    names = {line.pk: line.name for line in wanted}
    present = dict(policy.limits.values_list("pk", "name"))
    # A limit that goes or changes its name goes first: the name may be wanted by another one.
    going = [pk for pk, name in present.items() if names.get(pk) != name]
    policy.limits.filter(pk__in=going).delete()
    for line in wanted:
        line.policy = policy
        line._state.adding = line.pk not in present or line.pk in going
        line.full_clean()
        line.save()
