"""The lines of a policy as part of its form."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db import models
from django.forms.models import BaseInlineFormSet
from django.http import HttpRequest
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _
from unfold.admin import StackedInline
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from limiter.core.algorithms import RULES
from limiter.policies import cuts, floors
from limiter.policies.admin.asking import CONFIRM, seen_among
from limiter.policies.admin.units import QuotaField, rate_of
from limiter.policies.compiled import PolicyInvalid, compile_policy
from limiter.policies.models import QuotaLimit, QuotaPolicy
from limiter.policies.models.limit import MAX_LIMITS, adapts_by_default
from quota_platform.base.admin import seconds
from quota_platform.base.admin.numbers import bounded
from quota_platform.base.admin.row_form import RowForm

APPLIES = {name: rules.fields for name, rules in RULES.items()}
"""Which of the fields that depend on the algorithm it uses."""

SHARE_TERMS = ("share_weight", "share_floor", "share_ceiling", "share_class")

TERMS = {
    name: QuotaLimit._meta.get_field(name).get_default()  # type: ignore[union-attr]
    for name in ("share_weight", "share_floor", "share_class", "max_values")
}
"""Of a share and of values, and their values where they are left empty."""


class _AdaptiveSelect(UnfoldAdminSelectWidget):
    """Yes, no, or as the window is long. A page of the release before has a box there: ticked, or not sent."""

    def format_value(self, value: Any) -> list[str]:
        return [{True: "true", False: "false"}.get(value, "")]

    def value_from_datadict(self, data: Any, files: Any, name: str) -> bool | None:
        said = data.get(name, "false")
        return True if said in ("true", "on") else False if said == "false" else None


class LimitForm(RowForm):
    """One limit; the algorithm says which of the numbers apply."""

    adaptive = forms.NullBooleanField(
        label=_("Adaptive"),
        widget=_AdaptiveSelect(choices=[("", _("by its window")), ("true", _("yes")), ("false", _("no"))]),
        help_text=_(
            "Shrinks with the policy's multiplier. By its window: yes up to 5 minutes, no above, where a short slowness"
            " would shut a tenant out for the rest of the window."
        ),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "algorithm" in self.fields:
            self.fields["algorithm"].widget.attrs["data-applies"] = json.dumps(APPLIES)
        if "shared" in self.fields:
            self.fields["shared"].widget.attrs["data-applies"] = json.dumps({"true": SHARE_TERMS})
        if "lease_seconds" in self.fields:
            # It has to have a value, also where it is not used.
            self.fields["lease_seconds"].widget.attrs["data-keep"] = ""
        for name in TERMS.keys() & self.fields.keys():
            self.fields[name].required = False  # a page of the release before has none of them
        if "window_seconds" in self.fields:
            self.fields["window_seconds"].help_text = _("For example 60, 1 min, 2 h or 1 day.")
        if "quota" in self.fields:
            self.fields["quota"].help_text = _("Units per window, or in flight; 100 per minute gives both at once.")

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        self._take_rate(cleaned)
        if cleaned.get("adaptive") is None:
            cleaned["adaptive"] = adapts_by_default(cleaned.get("window_seconds"))
        for name, default in TERMS.items():
            if name not in self.errors and cleaned.get(name) in (None, ""):
                cleaned[name] = default
        return cleaned

    def _take_rate(self, cleaned: dict[str, Any]) -> None:
        """The window of a limit that was typed as a rate, unless another one was typed beside it."""
        rate = rate_of(str(self.data.get(self.add_prefix("quota"), "")))
        if rate is None:
            return
        if "window_seconds" in self.changed_data and cleaned.get("window_seconds") not in (None, rate[1]):
            self.add_error("quota", _("This names another window than the field beside it; give the window once."))
            return
        cleaned["window_seconds"] = rate[1]
        self.errors.pop("window_seconds", None)


class LimitFormSet(BaseInlineFormSet):
    """All limits of one policy: their names differ, and together they compile."""

    user: Any = None
    asks: Sequence[str] = ()
    """Sentences with the tenants that the save hits; it waits for a confirmation."""

    default_error_messages = {
        "too_many_forms": format_lazy(_("A policy has at most {most} limits; nothing was saved."), most=MAX_LIMITS)
    }

    def validate_unique(self) -> None:
        """Say at the name itself that it is taken; Django would say it above the form, naming no field."""
        taken: set[str] = set()
        for form in self._kept():
            name = form.cleaned_data.get("name", "")
            if name and name in taken:
                form.add_error("name", _("Another limit of this policy has this name; give each a name of its own."))
            taken.add(name)

    def clean(self) -> None:
        super().clean()
        forms_kept = self._kept()
        if any(form.errors for form in self.forms):
            return
        try:
            compile_policy(self.instance, [form.instance for form in forms_kept])
        except PolicyInvalid as error:
            # The policy's own form names faults of the policy itself.
            if error.limit is not None:
                self._place(error, forms_kept)
            return
        lines = {id(form.instance): form for form in forms_kept}
        self._ask(forms_kept)
        for line, remedy in floors.faults(self.instance, [form.instance for form in forms_kept]):
            lines[id(line)].add_error("share_floor", remedy)

    def _ask(self, kept: list[forms.ModelForm]) -> None:
        """Ask once whether a limit may fall below its use of the last day."""
        if self.data.get(CONFIRM):
            return
        for name, hits in cuts.hits(self.instance, [form.instance for form in kept]).items():
            said = cuts.sentence(hits, seen=seen_among(hits, self.user))
            at = next(form for form in kept if form.instance.name == name)
            at.add_error("quota", said)
            self.asks = [*self.asks, f"{name}: {said}"]

    def _kept(self) -> list[forms.ModelForm]:
        """The forms whose limits will be there after saving, as far as they could be read."""
        return [
            form
            for form in self.forms
            if hasattr(form, "cleaned_data")
            and (form.instance.pk or form.has_changed())
            and not form.cleaned_data.get("DELETE")
        ]

    @staticmethod
    def _place(error: PolicyInvalid, kept: list[forms.ModelForm]) -> None:
        """Show what the compiler refuses at the field it names, or above the limits when they have no such field."""
        for form in kept:
            if form.instance.name == error.limit and error.field in form.fields:
                form.add_error(error.field, error.remedy)
                return
        raise ValidationError(str(error))


class LimitInline(StackedInline):
    """Limits below the policy's own fields."""

    model = QuotaLimit
    form = LimitForm
    formset = LimitFormSet
    extra = 0
    max_num = MAX_LIMITS
    verbose_name = _("limit")
    verbose_name_plural = _("Limits")
    fieldsets = (
        (
            None,
            {
                "fields": (
                    ("name", "algorithm", "adaptive"),
                    ("counted_per", "counted_by", "max_values"),
                    ("quota", "window_seconds", "burst", "lease_seconds"),
                    ("shared", *SHARE_TERMS),
                )
            },
        ),
    )

    def formfield_for_dbfield(self, db_field: models.Field, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "quota":
            kwargs |= {"form_class": QuotaField, "widget": UnfoldAdminTextInputWidget()}
        kwargs |= seconds.typed(db_field) | bounded(db_field)
        return super().formfield_for_dbfield(db_field, request, **kwargs)

    def get_formset(
        self, request: HttpRequest, obj: QuotaPolicy | None = None, **kwargs: Any
    ) -> type[BaseInlineFormSet]:
        """However many limits are posted, one too many is made into a form, so that it can be said."""
        most: dict[str, Any] = {"absolute_max": MAX_LIMITS + 1, "validate_max": True}
        made: type[BaseInlineFormSet] = super().get_formset(request, obj, **most, **kwargs)
        return type("LimitFormSetOf", (made,), {"user": request.user})

    def get_extra(self, request: HttpRequest, obj: QuotaPolicy | None = None, **kwargs: Any) -> int:
        """A new policy starts with one empty limit."""
        return 1 if obj is None else 0
