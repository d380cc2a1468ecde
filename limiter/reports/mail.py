"""Mailing the files of saved reports: claimed, sent through the mail server that is set, tried again, given up.

A mail arrives at least once: a worker that dies between the sending and the note of it leaves the mail to be sent
again, under the same Message-ID.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from datetime import UTC, datetime

from django.conf import settings
from django.core.mail import EmailMessage
from django.urls import reverse
from django.utils import timezone

from limiter.record import due
from limiter.reports import access, files
from limiter.reports.models import Export, ReportMail
from quota_platform.base.kept import kept_text
from quota_platform.base.mail import sending
from quota_platform.base.mail.sending import Sent
from quota_platform.base.public_url import public_url
from quota_platform.base.time_zones import zone_or_utc

MAX_S = 50
"""The duration of one attempt at most; each response of the mail server has 20 s."""
_AT_ONCE = 200

log = logging.getLogger(__name__)

_NO_FILE = kept_text("the file is no longer kept")
_NOT_SEEN = kept_text("its owner may not see these rows any more")
_FILE_GONE = kept_text("the file is not where it was stored")


def put(export: Export) -> int:
    """A mail to every recipient of the export's schedule, in the transaction that says it is done; how many."""
    if export.schedule is None or not settings.ENV.EMAIL_HOST:
        return 0
    mails = [ReportMail(export=export, address=address) for address in dict.fromkeys(export.schedule.recipients)]
    ReportMail.objects.bulk_create(mails, ignore_conflicts=True)
    return len(mails)


def hand_out(pass_on: Callable[[int], object], *, now: datetime | None = None) -> int | None:
    """Give every mail that is due to ``pass_on``; how many, or None when somebody else is at it."""
    return due.hand_out("mail_reports", ReportMail, pass_on, at_once=_AT_ONCE, now=now)


def send(pk: int, *, now: datetime | None = None) -> str | None:
    """Make one attempt to send a mail; its state afterwards, or None when it was not its turn."""
    now = now or timezone.now()
    if not ReportMail.claim(pk, now):
        return None
    mail = ReportMail.objects.select_related("export__schedule", "export__requested_by").get(pk=pk)
    why_not = _refused(mail)
    error, final = Sent(why_not, final=True) if why_not else _attempt(mail)
    mail.note(now, error=error, final=final, attached=mail.attached)
    if mail.state == ReportMail.State.GIVEN_UP:
        log.warning("the report %s could not be mailed: %s", mail.export_id, error)
    return mail.state


def _refused(mail: ReportMail) -> str:
    """Why it must not be sent, by the rights and settings of now; "" when it may."""
    export = mail.export
    if export.state != Export.State.DONE:
        return _NO_FILE
    if export.requested_by is None or not access.may_download(export.requested_by, export):
        return _NOT_SEEN
    if not sending.may_be_mailed(mail.address):
        return sending.NOT_LISTED
    return ""


def _attempt(mail: ReportMail) -> Sent:
    try:
        made = message(mail)
    except FileNotFoundError:
        return Sent(_FILE_GONE)
    return sending.send(made)


def message(mail: ReportMail) -> EmailMessage:
    """The mail, with the file and its manifest when the file is small."""
    export = mail.export
    size = int(export.manifest["bytes"])
    mail.attached = size <= settings.ENV.REPORT_MAIL_MOST_KB * 1_000
    made = sending.made(
        subject=f"{_name(export)}, {_day(export, export.since)} to {_day(export, export.until)}",
        body=_text(export, attached=mail.attached),
        to=[mail.address],
        uid=mail.uid,
    )
    if mail.attached:
        with files.storage().open(export.stored_as) as file:
            made.attach(export.file_name, file.read(), "application/octet-stream")
        data = json.dumps(export.manifest, indent=1, sort_keys=True)
        made.attach(f"{export.file_name}.manifest.json", data, "application/json")
    return made


def _text(export: Export, *, attached: bool) -> str:
    page = public_url(reverse("admin:limiter_export_changelist")) or "the admin, Exports"
    kept = f"until {export.expires_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC" if export.expires_at else "for a while"
    lines = [
        f"{_name(export)}: {export.get_kind_display()}, {export.rows:,} rows,",
        f"from {_day(export, export.since)} to before {_day(export, export.until)} ({export.time_zone}).",
        "",
        "The file and its signed manifest are attached." if attached else "The file is too large for a mail.",
        f"It is kept {kept}: {page}",
        f"SHA-256: {export.manifest['sha256']}",
        "",
        f"Ordered for {export.requested_name}, who can change or end this report under Saved reports.",
    ]
    return "\n".join(lines)


def _name(export: Export) -> str:
    return " ".join(export.schedule.name.split()) if export.schedule else export.get_kind_display()


def _day(export: Export, moment: datetime) -> str:
    return f"{moment.astimezone(zone_or_utc(export.time_zone)):%Y-%m-%d}"
