"""Sending mails through the mail server that is set, and the addresses that may be written to."""

from __future__ import annotations

import smtplib
from typing import NamedTuple

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.mail import EmailMessage, get_connection
from django.core.validators import validate_email
from django.utils.translation import gettext as _

from quota_platform.base.kept import kept_text

TIMEOUT_S = 20
"""Each response of the mail server has this long."""
NOT_LISTED = kept_text("REPORT_MAIL_DOMAINS does not list the domain any more")
_SMTP = "django.core.mail.backends.smtp.EmailBackend"
_ADDRESS_REFUSED = kept_text("the mail server refuses the address: {code}")
_USER_REFUSED = kept_text("the mail server refuses EMAIL_USER or EMAIL_PASSWORD")
_MAIL_REFUSED = kept_text("the mail server refuses the mail: {code}")
_NO_SERVER = kept_text("no connection to the mail server")


class Sent(NamedTuple):
    """``error`` is empty when the server took the mail; ``final``: it is of no use to try again."""

    error: str = ""
    final: bool = False


def wrong_address(address: str) -> str:
    """Why nothing is mailed to this address, for the person who typed it; "" when it may be written to."""
    try:
        validate_email(address)
    except ValidationError:
        return _("{address} is no mail address.").format(address=repr(address[:80]))
    domains = [domain.lower() for domain in settings.ENV.REPORT_MAIL_DOMAINS]
    if address.rpartition("@")[2].lower() not in domains:
        said = _("{address} is under none of REPORT_MAIL_DOMAINS: {domains}.")
        return said.format(address=address, domains=", ".join(domains) or _("it is empty"))
    return ""


def may_be_mailed(address: str) -> bool:
    """Whether this address may be written to now."""
    return wrong_address(address) == ""


def made(*, subject: str, body: str, to: list[str], uid: object) -> EmailMessage:
    """A mail of the platform. ``uid`` names it: a mail that is sent again has the same Message-ID."""
    sender = settings.ENV.EMAIL_FROM
    return EmailMessage(
        subject=subject,
        body=body,
        from_email=sender,
        to=to,
        headers={"Message-ID": f"<{uid}@{sender.rpartition('@')[2].strip('>')}>", "Auto-Submitted": "auto-generated"},
    )


def send(mail: EmailMessage) -> Sent:
    """Make one attempt."""
    env = settings.ENV
    server = get_connection(
        _SMTP,
        host=env.EMAIL_HOST,
        port=env.EMAIL_PORT,
        username=env.EMAIL_USER,
        password=env.EMAIL_PASSWORD.get_secret_value(),
        use_tls=env.EMAIL_TLS == "starttls",
        use_ssl=env.EMAIL_TLS == "tls",
        timeout=TIMEOUT_S,
    )
    try:
        server.send_messages([mail])
    except smtplib.SMTPRecipientsRefused as error:
        code = next(iter(error.recipients.values()))[0]
        return Sent(_ADDRESS_REFUSED.format(code=code), final=code >= 500)
    except smtplib.SMTPAuthenticationError:
        return Sent(_USER_REFUSED)
    except smtplib.SMTPResponseException as error:
        return Sent(_MAIL_REFUSED.format(code=error.smtp_code))
    except (smtplib.SMTPException, OSError):
        return Sent(_NO_SERVER)
    return Sent()
