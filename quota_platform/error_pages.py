"""The pages that say what went wrong, for people; programs get problem documents (:mod:`quota_platform.problems`).

They are made without session, user and database, each of which may be missing.
"""

from __future__ import annotations

from typing import NamedTuple

from django.http import HttpResponse
from django.template.loader import render_to_string
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from quota_platform import csp


class Words(NamedTuple):
    """The heading, and one or two sentences with the remedy."""

    heading: str | Promise
    text: str | Promise


UNREADABLE = Words(
    _("The request could not be read"),
    _("Your browser sent something that this server does not understand. Go back and try again."),
)
FORBIDDEN = Words(
    _("You may not see this page"),
    _("Your account has no permission for it. Ask an administrator for the group that has."),
)
EXPIRED = Words(
    _("This form has expired"),
    _("It was open for too long, or you signed in again meanwhile. Go back, reload the page and repeat your entry."),
)
NOT_FOUND = Words(
    _("There is no such page"),
    _("The link may be old, or the address may have a typing error."),
)
FAILED = Words(
    _("Something failed on our side"),
    _("The fault is in the log under this reference. Try again, and give the reference to your operator if it stays."),
)
UNAVAILABLE = Words(
    _("This page is unavailable for the moment"),
    _("The database does not respond. Nothing was saved, and calls of tenants go on. Try again in a minute."),
)


def page(status: int, words: Words, *, reference: str = "") -> HttpResponse:
    """An HTML page with this status. ``reference``: the name of the fault in the log."""
    context = {"words": words, "status": status, "reference": reference}
    response = HttpResponse(render_to_string("quota_platform/error.html", context), status=status)
    response.headers[csp.HEADER] = csp.text(csp.EVERYWHERE)
    response.headers["Cache-Control"] = "no-store"
    return response
