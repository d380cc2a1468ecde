"""Mailing the files of saved reports: claimed, sent through the mail server that is set, tried again, given up.

A mail arrives at least once: a worker that dies between the sending and the note of it leaves the mail to be sent
again, under the same Message-ID.
"""

from __future__ import annotations

import json
import logging
import smtplib
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.core.mail import EmailMessage, get_connection
from django.urls import reverse
from django.utils import timezone

from limiter.record import due
from limiter.reports import access, files
from limiter.reports.models import Export, ReportMail
from limiter.reports.models.schedule import may_be_mailed
from quota_platform.base.kept import kept_text

MAX_S = 50
"""The duration of one attempt at most; each response of the mail server has 20 s."""
_TIMEOUT_S = 20
_AT_ONCE = 200
_SMTP = "django.core.mail.backends.smtp.EmailBackend"

log = logging.getLogger(__name__)

_NO_FILE = kept_text("the file is no longer kept")
_NOT_SEEN = kept_text("its owner may not see these rows any more")
_NOT_LISTED = kept_text("REPORT_MAIL_DOMAINS does not list the domain any more")
_ADDRESS_REFUSED = kept_text("the mail server refuses the address: {code}")
_USER_REFUSED = kept_text("the mail server refuses EMAIL_USER or EMAIL_PASSWORD")
_MAIL_REFUSED = kept_text("the mail server refuses the mail: {code}")
_FILE_GONE = kept_text("the file is not where it was stored")
_NO_SERVER = kept_text("no connection to the mail server")


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
    error, final = (why_not, True) if why_not else _attempt(mail)
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
    if not may_be_mailed(mail.address):
        return _NOT_LISTED
    return ""


def _attempt(mail: ReportMail) -> tuple[str, bool]:
    """Send it; what went wrong, and whether it is of no use to try again."""
    env = settings.ENV
    server = get_connection(
        _SMTP,
        host=env.EMAIL_HOST,
        port=env.EMAIL_PORT,
        username=env.EMAIL_USER,
        password=env.EMAIL_PASSWORD.get_secret_value(),
        use_tls=env.EMAIL_TLS == "starttls",
        use_ssl=env.EMAIL_TLS == "tls",
        timeout=_TIMEOUT_S,
    )
    try:
        server.send_messages([message(mail)])
    except smtplib.SMTPRecipientsRefused as error:
        code = next(iter(error.recipients.values()))[0]
        return _ADDRESS_REFUSED.format(code=code), code >= 500
    except smtplib.SMTPAuthenticationError:
        return _USER_REFUSED, False
    except smtplib.SMTPResponseException as error:
        return _MAIL_REFUSED.format(code=error.smtp_code), False
    except FileNotFoundError:
        return _FILE_GONE, False
    except (smtplib.SMTPException, OSError):
        return _NO_SERVER, False
    return "", False


def message(mail: ReportMail) -> EmailMessage:
    """The mail, with the file and its manifest when the file is small."""
    export = mail.export
    size = int(export.manifest["bytes"])
    mail.attached = size <= settings.ENV.REPORT_MAIL_MOST_KB * 1_000
    made = EmailMessage(
        subject=f"{_name(export)}, {_day(export.since)} to {_day(export.until)}",
        body=_text(export, attached=mail.attached),
        from_email=settings.ENV.EMAIL_FROM,
        to=[mail.address],
        headers={
            "Message-ID": f"<{mail.uid}@{settings.ENV.EMAIL_FROM.rpartition('@')[2].strip('>')}>",
            "Auto-Submitted": "auto-generated",
        },
    )
    if mail.attached:
        with files.storage().open(export.stored_as) as file:
            made.attach(export.file_name, file.read(), "application/octet-stream")
        data = json.dumps(export.manifest, indent=1, sort_keys=True)
        made.attach(f"{export.file_name}.manifest.json", data, "application/json")
    return made


def _text(export: Export, *, attached: bool) -> str:
    where = settings.ENV.PUBLIC_URL.rstrip("/")
    page = where + reverse("admin:limiter_export_changelist") if where else "the admin, Exports"
    kept = f"until {export.expires_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC" if export.expires_at else "for a while"
    lines = [
        f"{_name(export)}: {export.get_kind_display()}, {export.rows:,} rows,",
        f"from {_day(export.since)} to before {_day(export.until)} (UTC).",
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


def _day(moment: Any) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d}"
