"""Contact points: the fields of their kind, a test at a button, a list of their deliveries."""

from __future__ import annotations

import json
from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.db import models
from django.db.models import QuerySet
from django.forms import Script
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_post_parameters
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget

from limiter.alerts import deliveries, event_types, posting
from limiter.alerts.kinds.registry import KINDS
from limiter.alerts.models import AlertDelivery, AlertHook
from limiter.alerts.models.hook import Severity, default_events
from limiter.record.admin.record import RecordAdmin
from quota_platform.base import row_access
from quota_platform.base.admin.display import display
from quota_platform.base.admin.members import document_in_lines
from quota_platform.base.admin.names_field import NamesField
from quota_platform.base.admin.panels import AdminPage, Panel, add_page, add_panel
from quota_platform.base.admin.recorded import RecordedAdmin
from quota_platform.base.admin.row_form import RowForm
from quota_platform.base.admin.scoped import RowFilter
from quota_platform.base.admin.secret_field import SecretField
from quota_platform.base.admin.shown_once import show_once
from quota_platform.base.events import EventType
from quota_platform.base.kept import in_words, kept_text

_LATEST = 10
_NEW_SECRET = kept_text("New signing secret")
_NEW_KEY = kept_text("New key")
_COLOURS = {"arrived": "success", "waiting": "info", "given up": "danger"}


def chosen_events() -> list[tuple[str, Any]]:
    """Those that a contact point may choose."""
    return [(name, _with_severity(type_)) for name, type_ in event_types.choosable().items()]


def _with_severity(type_: EventType) -> str:
    """An alert's own depends on its threshold."""
    label = capfirst(str(type_.label))
    if type_.name == event_types.STARTED:
        return label
    return _("{event} ({severity})").format(event=label, severity=Severity(type_.severity).label)


class ContactForm(RowForm):
    """A contact point. Its secret, of a kind that has one to enter, is write-only: blank leaves it as it is."""

    credential = SecretField(label=_("Key"))
    events = forms.MultipleChoiceField(
        label=_("Events"),
        choices=chosen_events,
        initial=default_events,
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        help_text=_(
            "The events it gets. An end goes where its start went. Opsgenie only takes events that have an end."
        ),
    )
    recipients = NamesField(label=_("Recipients"), required=False, help_text=_("Mail addresses, comma separated."))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "kind" in self.fields:
            applies = {name: kind.fields for name, kind in KINDS.items()}
            self.fields["kind"].widget.attrs["data-applies"] = json.dumps(applies)
        if "credential" in self.fields:
            self.fields["credential"].help_text = (
                _("A key is set. Type a new one to replace it; blank keeps it.")
                if self.instance.secret_sealed
                else _("PagerDuty: the integration key of an Events API v2 integration. Opsgenie: an API key.")
            )

    def clean(self) -> Any:
        """The key is sealed first, because the row checks that it has one."""
        data = super().clean()
        if (key := self.cleaned_data.get("credential")) and KINDS[self.cleaned_data["kind"]].credential:
            self.instance.seal(key)
            self.instance._change_reason = _NEW_KEY
        return data


@admin.register(AlertHook)
class AlertHookAdmin(RecordedAdmin):
    """Where alerts go."""

    form = ContactForm
    formfield_overrides: ClassVar = {models.URLField: {"assume_scheme": "https"}}
    list_display = ("name", "kind", "owner", "address", "from_threshold", "state", "created_by")
    list_select_related = ("tenant",)
    list_filter = ("enabled", "kind", "from_severity", ("tenant", RowFilter))
    search_fields = ("name", "url", "tenant__tenant_id")
    search_help_text = _("Name, URL or tenant ID")
    autocomplete_fields = ("tenant",)
    readonly_fields = ("why_stopped", "created_by", "created_at")
    bookkeeping = ("failures",)

    class Media:
        js = (Script("quota_platform/applies.js", type="module"),)

    def get_queryset(self, request: HttpRequest) -> QuerySet[AlertHook]:
        return deliveries.with_retried(super().get_queryset(request))

    def get_fields(self, request: HttpRequest, obj: AlertHook | None = None) -> tuple[Any, ...]:
        asked = (
            *(("name", "kind"), "url", "credential", "recipients"),
            *("tenant", "events", ("from_severity", "from_threshold"), "tell_ends"),
            *(("active_days", "time_zone"), ("active_from", "active_until"), "enabled"),
        )
        if obj is None:
            return asked
        return (*asked, *(("why_stopped",) if obj.stopped_because else ()), ("created_by", "created_at"))

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "tenant" and not row_access.sees_every_tenant(request.user):
            kwargs["required"] = True  # without one it would get alerts of tenants that the person does not see
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    @display(description=_("stopped because"))
    def why_stopped(self, obj: AlertHook) -> str:
        return in_words(obj.stopped_because)

    @display(description=_("whose alerts"), ordering="tenant__tenant_id")
    def owner(self, obj: AlertHook) -> str:
        return str(obj.tenant) if obj.tenant else str(_("every tenant's"))

    @display(description=_("state"), label={"on": "success", "failing": "danger", "off": "info", "stopped": "danger"})
    def state(self, obj: Any) -> str:
        if obj.enabled:
            return "failing" if obj.failures or obj.retried else "on"
        return "stopped" if obj.stopped_because else "off"

    @method_decorator(sensitive_post_parameters("credential", "url"))
    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        response: HttpResponse = super().changeform_view(request, *args, **kwargs)
        return response

    @display(description=_("address"))
    def address(self, obj: AlertHook) -> str:
        return obj.url or ", ".join(obj.recipients)

    def save_model(self, request: HttpRequest, obj: AlertHook, form: Any, change: bool) -> None:
        if not change:
            obj.created_by = request.user.get_username()
            # Lives as long as this request: shown in its response and kept nowhere.
            request.hook_secret = obj.renew_secret() if obj.contact.signs else ""  # type: ignore[attr-defined]
        super().save_model(request, obj, form, change)

    def response_add(self, request: HttpRequest, obj: AlertHook, post_url_continue: str | None = None) -> HttpResponse:
        if secret := request.hook_secret:  # type: ignore[attr-defined]
            return _show_secret(request, obj, secret)
        response: HttpResponse = super().response_add(request, obj, post_url_continue)
        return response


def _show_secret(request: HttpRequest, hook: AlertHook, secret: str) -> HttpResponse:
    title = str(_("Copy the signing secret now"))
    return show_once(request, "limiter/hook_secret.html", title=title, secret=secret, of=hook, next_url=_page_of(hook))


def _page_of(hook: AlertHook) -> str:
    return reverse("admin:limiter_alerthook_change", args=[hook.pk])


def register() -> None:
    """Called once, when the admin's modules are imported."""
    add_panel(AlertHook, Panel(template="limiter/hook_state.html", fill=_fill))
    add_page(AlertHook, AdminPage(path="test", name="test", permission="change", response=_test))
    add_page(
        AlertHook,
        AdminPage(path="new-secret", name="new_secret", permission="change", response=_new_secret, edits=True),
    )


def _fill(request: HttpRequest, hook: AlertHook) -> dict[str, Any]:
    return {"latest": hook.deliveries.all()[:_LATEST]}


def _test(request: HttpRequest, hook: AlertHook) -> HttpResponse:
    """Post a test at once and say how it went. Only on POST."""
    if request.method == "POST":
        delivery = deliveries.put_test(hook, at=timezone.now())
        posting.try_out(delivery)
        if delivery.state == AlertDelivery.State.ARRIVED:
            messages.success(request, _("The test arrived: the response was {status}.").format(status=delivery.status))
        else:
            messages.error(request, _("The test did not arrive: {error}.").format(error=in_words(delivery.error)))
    return HttpResponseRedirect(_page_of(hook))


def _new_secret(request: HttpRequest, hook: AlertHook) -> HttpResponse:
    """Replace the secret and show the new one. Only on POST."""
    if request.method != "POST" or not hook.contact.signs:
        return HttpResponseRedirect(_page_of(hook))
    secret = hook.renew_secret()
    hook._change_reason = _NEW_SECRET  # type: ignore[attr-defined]
    hook.save()
    return _show_secret(request, hook, secret)


@admin.register(AlertDelivery)
class AlertDeliveryAdmin(RecordAdmin):
    """Messages to contact points, newest first."""

    goes_with_its_owner = True
    list_display = ("at", "hook", "tenant_id", "event", "status_word", "attempts", "status", "last_error", "next")
    fields = (
        *(("at", "status_word"), ("hook", "tenant_id"), ("event", "alert")),
        *(("attempts", "status"), ("last_error", "next"), "finished_at", "message"),
    )
    list_select_related = ("hook",)
    list_filter = ("state", "event")
    search_fields = ("tenant_id__exact", "hook__name__exact")
    search_help_text = _("Tenant ID or name of the contact point, in full")

    @display(description=_("state"), label=_COLOURS)
    def status_word(self, obj: AlertDelivery) -> str:
        return str(AlertDelivery.State(obj.state).label)

    @display(description=_("last error"))
    def last_error(self, obj: AlertDelivery) -> str:
        return in_words(obj.error)

    @display(description=_("next attempt"))
    def next(self, obj: AlertDelivery) -> Any:
        return obj.next_at if obj.state == AlertDelivery.State.WAITING else "-"

    @display(description=_("message"))
    def message(self, obj: AlertDelivery) -> SafeString | str:
        return document_in_lines(obj.body)
