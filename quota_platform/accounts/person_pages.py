"""What an administrator does for a person who cannot sign in: mail a link to set a password, remove second factors."""

from __future__ import annotations

from allauth.mfa.models import Authenticator
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.models import User
from django.db import transaction
from django.http import HttpRequest
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from kombu.exceptions import OperationalError

from limiter.record import chain
from limiter.record.chain import Draft
from quota_platform.accounts import mails, tasks


def invite(request: HttpRequest, person: User) -> None:
    """Have the link mailed, and say so, or why not."""
    if error := mails.why_not(person):
        messages.error(request, error)
        return
    try:
        tasks.mail_invitation.delay(person.pk, language=get_language() or settings.LANGUAGE_CODE)
    except OperationalError:
        messages.error(request, _("Mails cannot be sent at the moment. Try again in a few minutes."))
        return
    _enter(request, "account.invited", person)
    messages.success(request, _("A link to set a password goes to {address}.").format(address=person.email))


@transaction.atomic
def remove_second_factors(request: HttpRequest, person: User) -> None:
    """For a person who has lost them."""
    if Authenticator.objects.filter(user=person).delete()[0]:
        _enter(request, "second_factor.removed", person)
    messages.success(request, _("{name} has no second factor now.").format(name=person.get_username()))


def _enter(request: HttpRequest, kind: str, person: User) -> None:
    chain.append([Draft(kind, actor=request.user.get_username(), payload={"account": person.get_username()})])
