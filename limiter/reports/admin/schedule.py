"""Saved reports in the admin: selection, times, recipients and runs."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from limiter.reports import access, pickers, rhythm, schedules
from limiter.reports.admin.names import name_fields, offer_names
from limiter.reports.admin.zone_field import ZoneField, offer_zones, own_zone
from limiter.reports.models import Export, ReportSchedule
from limiter.reports.orders import NOT_ALLOWED
from quota_platform.base.admin.display import display
from quota_platform.base.admin.names_field import NamesField
from quota_platform.base.admin.panels import AdminPage, Panel, add_page, add_panel
from quota_platform.base.admin.recorded import RecordedAdmin
from quota_platform.base.kept import in_words
from quota_platform.base.time_zones import zone_or_utc

_LATEST = 10


class ScheduleForm(forms.ModelForm):
    """A saved report. Refuses here what could not be ordered."""

    person: Any = None
    own_zone = ""

    time_zone = ZoneField(help_text=_("Of the days and the hour, and of the times in the files."))
    tenants, actions, policies = name_fields(_("Empty: all that the owner may see."))
    recipients = NamesField(label=_("Recipients"), required=False, help_text=_("Mail addresses, comma separated."))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        offer_names(self)
        offer_zones(self, self.own_zone)
        if "recipients" in self.fields and not settings.ENV.EMAIL_HOST:
            self.fields["recipients"].help_text = _("No mail server is set (EMAIL_HOST): the files wait under Exports.")

    def _post_clean(self) -> None:
        super()._post_clean()  # type: ignore[misc]
        if self.errors:
            return
        try:
            schedules.check(self.instance)
        except ValidationError as error:
            self.add_error(None, error)
        if not access.may_export(self.person, self.instance.kind):
            self.add_error("kind", _(NOT_ALLOWED).format(kind=self.instance.get_kind_display()))


@admin.register(ReportSchedule)
class ReportScheduleAdmin(RecordedAdmin):
    """A person's own saved reports; a superuser's list has all."""

    form = ScheduleForm
    list_display = ("name", "kind", "format", "when", "next_run", "owner_name", "state")
    list_filter = ("enabled", "rhythm", "kind")
    search_fields = ("name", "owner_name")
    search_help_text = _("Name or owner")
    bookkeeping = ("armed_at", "refused")

    def get_queryset(self, request: HttpRequest) -> QuerySet[ReportSchedule]:
        rows: QuerySet[ReportSchedule] = super().get_queryset(request) & access.schedules_of(request.user)
        return rows

    def get_fields(self, request: HttpRequest, obj: ReportSchedule | None = None) -> tuple[Any, ...]:
        asked = (
            "name",
            ("kind", "format"),
            "days",
            ("rhythm", "weekday"),
            ("hour", "time_zone"),
            *pickers.KINDS,
            "recipients",
            "enabled",
        )
        return asked if obj is None else (*asked, "owner_name", "created_at")

    def get_readonly_fields(self, request: HttpRequest, obj: ReportSchedule | None = None) -> tuple[str, ...]:
        return ("owner_name", "created_at")

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        made = super().get_form(request, obj, change, **kwargs)
        return type(made.__name__, (made,), {"person": request.user, "own_zone": own_zone(request)})

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_change_permission(request, obj) and _is_own(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_delete_permission(request, obj) and _is_own(request, obj)

    def save_model(self, request: HttpRequest, obj: ReportSchedule, form: Any, change: bool) -> None:
        if not change:
            obj.owner, obj.owner_name = request.user, request.user.get_username()  # type: ignore[assignment]
        super().save_model(request, obj, form, change)

    @display(description=_("when"))
    def when(self, obj: ReportSchedule) -> str:
        return sentence(obj)

    @display(description=_("next run"))
    def next_run(self, obj: ReportSchedule) -> Any:
        return _following(obj) or "-"

    @display(description=_("state"), label={"on": "success", "off": "info", "refused": "danger"})
    def state(self, obj: ReportSchedule) -> str:
        if not obj.enabled:
            return "off"
        return "refused" if obj.refused else "on"


def _is_own(request: HttpRequest, obj: Any) -> bool:
    return not isinstance(obj, ReportSchedule) or request.user.is_superuser or obj.owner_id == request.user.pk


def sentence(schedule: ReportSchedule) -> str:
    """Its times and its selection."""
    covers = ngettext("the day before", "the {days} days before", schedule.days).format(days=schedule.days)
    said = {
        ReportSchedule.Rhythm.DAILY: gettext("daily at {time} {zone}, {covers}"),
        ReportSchedule.Rhythm.WEEKLY: gettext("{weekday}s at {time} {zone}, {covers}"),
        ReportSchedule.Rhythm.BY_HAND: gettext("by hand, {covers}"),
    }[ReportSchedule.Rhythm(schedule.rhythm)]
    time, zone = f"{schedule.hour:02}:00", schedule.time_zone
    return said.format(weekday=schedule.get_weekday_display(), time=time, zone=zone, covers=covers)


def _following(schedule: ReportSchedule) -> str:
    """The next run in its time zone; empty when there is none."""
    moment = rhythm.following(schedule, timezone.now())
    if moment is None:
        return ""
    return f"{moment.astimezone(zone_or_utc(schedule.time_zone)):%Y-%m-%d %H:%M} {schedule.time_zone}"


def register() -> None:
    """Called once, when the admin's modules are imported."""
    add_panel(ReportSchedule, Panel(template="limiter/schedule_runs.html", fill=_fill))
    add_page(ReportSchedule, AdminPage(path="run", name="run", permission="change", response=_run))


def _fill(request: HttpRequest, schedule: ReportSchedule) -> dict[str, Any]:
    latest = schedule.exports.order_by("-created_at").prefetch_related("mails")[:_LATEST]
    return {
        "words": sentence(schedule),
        "next": _following(schedule),
        "latest": [{"export": export, "mails": _mails(export), **_days(export)} for export in latest],
    }


def _days(export: Export) -> dict[str, str]:
    """Since and until, in the time zone of the run."""
    zone = zone_or_utc(export.time_zone)
    return {name: f"{getattr(export, name).astimezone(zone):%Y-%m-%d}" for name in ("since", "until")}


def _mails(export: Export) -> str:
    data = (f"{mail.address}: {in_words(mail.error) or mail.get_state_display()}" for mail in export.mails.all())
    return "; ".join(data)


def _run(request: HttpRequest, schedule: ReportSchedule) -> HttpResponse:
    """Order it now, as of now. Only on POST."""
    if request.method == "POST":
        try:
            schedules.run(schedule, timezone.now())
        except (PermissionDenied, ValidationError) as error:
            why = str(error) if isinstance(error, PermissionDenied) else error.messages[0]
            messages.error(request, _("It was not ordered: {why}").format(why=why))
        else:
            messages.success(request, _("It is being built; the file appears below and under Exports."))
    return HttpResponseRedirect(reverse("admin:limiter_reportschedule_change", args=[schedule.pk]))
