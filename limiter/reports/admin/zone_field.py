"""The field by which exports and saved reports choose a time zone: UTC unless another is chosen."""

from __future__ import annotations

from typing import Any

from django import forms
from django.http import HttpRequest
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminSelectWidget

from limiter.reports.selection import NO_ZONE
from quota_platform.base import preferences, time_zones
from quota_platform.base.time_zones import UTC_NAME


class ZoneField(forms.ChoiceField):
    """Every zone that the machine has, the person's own first."""

    def __init__(self, *, help_text: Any) -> None:
        super().__init__(
            label=_("Time zone"),
            help_text=help_text,
            required=False,
            initial=UTC_NAME,
            choices=[(UTC_NAME, UTC_NAME)],
            widget=UnfoldAdminSelectWidget,
            error_messages={"invalid_choice": _(NO_ZONE)},
        )

    def clean(self, value: Any) -> str:
        return super().clean(value) or UTC_NAME

    def offer(self, own: str) -> None:
        """The choices; ``own`` is empty if the person has chosen no zone."""
        mine = [(own, gettext("{zone} (yours)").format(zone=own))] if own in time_zones.names() - {UTC_NAME} else []
        others = sorted(time_zones.names() - {own, UTC_NAME})
        self.choices = [*mine, (UTC_NAME, UTC_NAME), *((name, name) for name in others)]


def offer_zones(form: forms.BaseForm, own: str) -> None:
    """Fill the field of a form; one that is only looked at has none."""
    field = form.fields.get("time_zone")
    if isinstance(field, ZoneField):
        field.offer(own)


def own_zone(request: HttpRequest) -> str:
    """The zone in which the person reads pages; empty if they have chosen none."""
    return preferences.held(request.session, preferences.TIME_ZONE)
