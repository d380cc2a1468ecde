"""The pages that say what went wrong, for people; programs get problem documents (:mod:`quota_platform.problems`).

They are made without session, user and database, each of which may be missing.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple

from django.http import HttpResponse
from django.template.loader import render_to_string
from django.utils import translation
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from quota_platform import csp
from quota_platform.base.lean.request import LeanRequest
from quota_platform.base.lean.response import LeanResponse


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
SIGNED_OUT = Words(
    _("You are signed out"),
    _("Your session has ended, and nothing was saved. Go back to copy your entry, sign in, and repeat it."),
)
NOT_FOUND = Words(
    _("There is no such page"),
    _("The link may be old, or the address may have a typing error."),
)
FAILED = Words(
    _("Something failed on our side"),
    _("The fault is in the log under this reference. Try again, and give the reference to your operator if it stays."),
)
NOT_COMPLETED = Words(
    _("This page is unavailable for the moment"),
    _(
        "The database did not complete this request. Nothing was saved, and calls of tenants go on. Try again in a"
        " moment, and call your operator if it stays."
    ),
)
"""One query failed, and nothing more is known: the database has responded to this process a moment ago."""
UNAVAILABLE = Words(
    _("This page is unavailable for the moment"),
    _(
        "The database does not respond, so dashboard, admin and sign-in are unavailable. Nothing was saved, and calls"
        " of tenants go on. Try again in a minute, and call your operator if it stays."
    ),
)


def page(status: int, words: Words, *, reference: str = "", since: datetime | None = None) -> HttpResponse:
    """An HTML page with this status. ``reference``: the fault's name in the log. ``since``: when it began."""
    began = f"{since.astimezone(UTC):%Y-%m-%d %H:%M}" if since else ""
    context = {"words": words, "status": status, "reference": reference, "since": began}
    response = HttpResponse(render_to_string("quota_platform/error.html", context), status=status)
    response.headers[csp.HEADER] = csp.text(csp.EVERYWHERE)
    response.headers["Cache-Control"] = "no-store"
    return response


def missing(request: LeanRequest) -> LeanResponse:
    """The page for an address that leads nowhere. It is made once for each language, for anybody can ask for it."""
    language = translation.get_language_from_request(request)
    fields = [("content-language", language), ("vary", "Accept, Accept-Language, Cookie")]
    fields += [("content-type", "text/html; charset=utf-8"), ("cache-control", "no-store")]
    fields += [(csp.HEADER.lower(), csp.text(csp.EVERYWHERE)), ("x-request-id", request.request_id)]
    return LeanResponse(404, fields, _missing_in(language))


@lru_cache
def _missing_in(language: str) -> bytes:
    with translation.override(language):
        return page(404, NOT_FOUND).content
