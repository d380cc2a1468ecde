"""The fields by which exports and saved reports choose tenants, actions and policies."""

from __future__ import annotations

from django import forms
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from limiter.reports import pickers
from quota_platform.base.admin.picked_names import NamesSelect, PickedNamesField


def name_fields(all_tenants: Promise) -> tuple[PickedNamesField, PickedNamesField, PickedNamesField]:
    """For tenants, actions and policies. ``all_tenants``: which an empty field means."""
    return (
        PickedNamesField(label=_("Tenants"), help_text=all_tenants),
        PickedNamesField(label=_("Actions"), help_text=_("Empty: all.")),
        PickedNamesField(label=_("Policies"), help_text=_("For refusals only. Empty: all.")),
    )


def offer_names(form: forms.ModelForm) -> None:
    """Let the fields ask for names; a form that is only looked at has none of them."""
    for kind in pickers.KINDS:
        field = form.fields.get(kind)
        if field is not None and isinstance(field.widget, NamesSelect):
            field.widget.url = reverse("admin:limiter_export_names", args=[kind])
