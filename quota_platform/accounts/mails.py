"""Mails about accounts: an invitation, and a link to a new password. Each link works once, for a limited time."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable

from allauth.socialaccount.models import SocialAccount
from django.conf import settings
from django.contrib.auth.models import User
from django.contrib.auth.tokens import default_token_generator
from django.urls import reverse
from django.utils import translation
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from quota_platform.accounts.programs import is_service_account
from quota_platform.base.mail import sending
from quota_platform.base.public_url import public_url
from tenants.preferences import language_of

log = logging.getLogger(__name__)


def are_possible() -> bool:
    """Whether there is a mail server, and an address for links that no caller can choose."""
    return bool(settings.ENV.EMAIL_HOST and settings.ENV.PUBLIC_URL)


def why_not(person: User) -> str:
    """Why this person cannot be invited, for the page of an administrator; "" when they can be."""
    if not are_possible():
        return _("Set EMAIL_HOST and PUBLIC_URL to send mails.")
    if not person.email:
        return _("Enter a mail address first.")
    if not person.is_active:
        return _("The account is switched off.")
    if is_service_account(person):
        return _("This is the account of a program; make it an API token instead.")
    if SocialAccount.objects.filter(user=person).exists():
        return _("This person signs in through the identity provider.")
    return ""


def invite(pk: int, *, language: str) -> str:
    """Mail a link to set a password; the error of the mail server, or "". For a task."""
    person = User.objects.filter(pk=pk).first()
    if person is None or why_not(person):
        return ""
    return _send(person, _invitation, language)


def send_reset(address: str, *, language: str) -> str:
    """Mail a link to every account that has this address and a password. For a task: it takes longer if there is one.

    The mail goes to the address that is stored, never to the one that was typed.
    """
    people = User.objects.filter(email__iexact=address, is_active=True)
    errors = [_send(person, _reset, language) for person in people if person.has_usable_password()]
    return next(filter(None, errors), "")


Text = Callable[[str, str, int], tuple[str, str]]
"""The subject and the body, of the account's name, the link and its hours."""


def _invitation(name: str, link: str, hours: int) -> tuple[str, str]:
    text = _("An administrator has made the account {name} for you. Set its password here:")
    works = ngettext(
        "The link works once, for {hours} hour. Ask your administrator for another one afterwards.",
        "The link works once, for {hours} hours. Ask your administrator for another one afterwards.",
        hours,
    )
    return _("Your account at Quota"), _body(text.format(name=name), link, works.format(hours=hours))


def _reset(name: str, link: str, hours: int) -> tuple[str, str]:
    text = _("Somebody requested a new password for your account {name}. Set it here:")
    works = ngettext(
        "The link works once, for {hours} hour. If you did not request it, do nothing: your password stays.",
        "The link works once, for {hours} hours. If you did not request it, do nothing: your password stays.",
        hours,
    )
    return _("A new password for Quota"), _body(text.format(name=name), link, works.format(hours=hours))


def _body(*paragraphs: str) -> str:
    return "\n\n".join(paragraphs) + "\n"


def _send(person: User, text: Text, language: str) -> str:
    uid, token = urlsafe_base64_encode(force_bytes(person.pk)), default_token_generator.make_token(person)
    link = public_url(reverse("account_set_password", args=[uid, token]))
    with translation.override(language_of(person) or language):
        subject, body = text(person.get_username(), link, settings.ENV.ACCOUNT_LINK_HOURS)
    sent = sending.send(sending.made(subject=subject, body=body, to=[person.email], uid=uuid.uuid4()))
    if sent.error:
        log.warning("a mail about an account was not sent: %s", sent.error)
    return "" if sent.final else sent.error
