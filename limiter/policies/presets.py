"""Policies to start from: an upstream's published limits, made as policies that are then edited like any other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from limiter.policies import sentences
from limiter.policies.compiled import compile_policy
from limiter.policies.models import QuotaLimit, QuotaPolicy
from limiter.policies.models.version import one_version

Line = Mapping[str, Any]
"""The fields of a limit."""


@dataclass(frozen=True, slots=True)
class PresetPolicy:
    """One of the policies; ``description`` says which actions it is for."""

    name: str
    description: str
    lines: tuple[Line, ...]

    def row(self) -> QuotaPolicy:
        return QuotaPolicy(name=self.name, description=_(self.description))

    def limits(self) -> list[QuotaLimit]:
        return [QuotaLimit(**line) for line in self.lines]

    def in_words(self) -> list[str]:
        return [f"{line.name}: {sentences.limit(line)}." for line in self.limits()]


@dataclass(frozen=True, slots=True)
class PolicyPreset:
    """``name`` is that of the API and the command; ``source``: where the numbers were published."""

    name: str
    label: str
    description: str
    source: str
    policies: tuple[PresetPolicy, ...]


class NamesTaken(ValidationError):
    """Policies of these names exist; the message names the remedy."""


def _per_connection(name: str, quota: int, window_seconds: int, **more: Any) -> Line:
    """A limit of the upstream itself: the same at any latency, and for all tenants of the connection together."""
    shape = {"algorithm": "sliding_counter", "counted_per": "connection", "adaptive": False}
    return {"name": name, "quota": quota, "window_seconds": window_seconds, **shape, **more}


_UPDATES = _per_connection("contact-updates", 1_000_000, 3600)
_ONE_CONTACT = _per_connection("contact", 17, 60, algorithm="token_bucket", burst=250, counted_by="/contactId")
_OUTBOUND = _per_connection("outbound", 6_000, 60)
_INBOUND = _per_connection("inbound", 360_000, 3600)
_READS = _per_connection("contact-reads", 120_000, 3600)

NICE_DIGITAL_ENGAGEMENT = PolicyPreset(
    name="nice-digital-engagement",
    label=gettext_noop("NICE CXone Digital Engagement"),
    description=gettext_noop(
        "The limits that NICE publishes for its Digital Engagement API, subject to change. Messages count as updates of"
        " contacts too. Assign each policy to the actions that it is for."
    ),
    source="https://developer.niceincontact.com/API/DigitalEngagementAPI",
    policies=(
        PresetPolicy(
            "digital-engagement-outbound",
            gettext_noop("For actions that send a message. Each counts as an update of a contact too."),
            (_UPDATES, _OUTBOUND),
        ),
        PresetPolicy(
            "digital-engagement-inbound",
            gettext_noop("For actions that store an inbound message. Each counts as an update of a contact too."),
            (_UPDATES, _INBOUND),
        ),
        PresetPolicy(
            "digital-engagement-updates",
            gettext_noop(
                "For actions that update a contact. Let the limit 'contact' count by the place at which their payloads"
                " name the contact."
            ),
            (_UPDATES, _ONE_CONTACT),
        ),
        PresetPolicy(
            "digital-engagement-reads",
            gettext_noop("For actions that read a contact."),
            (_READS,),
        ),
    ),
)

PRESETS = {preset.name: preset for preset in (NICE_DIGITAL_ENGAGEMENT,)}


def make(preset: PolicyPreset, *, reason: str = "") -> list[QuotaPolicy]:
    """Save the policies of a preset, all or none; they are assigned to nobody. Raises :class:`NamesTaken`."""
    with transaction.atomic(), one_version(reason):
        names = [each.name for each in preset.policies]
        taken = list(QuotaPolicy.objects.filter(name__in=names).values_list("name", flat=True))
        if taken:
            said = _("There are policies of these names already: {names}. Edit, rename or delete them.")
            raise NamesTaken(said.format(names=", ".join(sorted(taken))))
        return [_made(each) for each in preset.policies]


def _made(preset: PresetPolicy) -> QuotaPolicy:
    policy, limits = preset.row(), preset.limits()
    compile_policy(policy, limits)
    policy.full_clean()
    policy.save()
    for line in limits:
        line.policy = policy
        line.full_clean()
        line.save()
    return policy
