"""The admin's pages of rows with a secret, which is made with the row, shown once, and useless once it is revoked."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Protocol

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from quota_platform.base.admin.display import display
from quota_platform.base.admin.recorded import RecordedAdmin
from quota_platform.base.admin.shown_once import show_once

STATE_COLOURS = {"active": "success", "expired": "warning", "revoked": "danger"}


class Issued(Protocol):
    """An API key or an API token."""

    expires_at: datetime | None
    revoked_at: datetime | None


def state_of(row: Issued) -> str:
    """``active``, ``expired`` or ``revoked``: one word for lists."""
    if row.revoked_at is not None:
        return "revoked"
    return "expired" if row.expires_at is not None and row.expires_at <= timezone.now() else "active"


class IssuedAdmin(RecordedAdmin):
    """``issued_template`` shows the secret. A subclass issues the row in ``save_model`` and calls :meth:`issued`."""

    new_title: str | Promise
    copy_title: str | Promise
    issued_template: str

    def page_after(self, obj: Any) -> str:
        """The page that the one with the secret leads to."""
        raise NotImplementedError

    @display(description=_("state"), label=STATE_COLOURS)
    def state(self, obj: Any) -> str:
        return state_of(obj)

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        one_button = {"title": self.new_title, "show_save_and_continue": False, "show_save_and_add_another": False}
        response: HttpResponse = super().add_view(request, form_url, {**one_button, **(extra_context or {})})
        return response

    @staticmethod
    def issued(request: HttpRequest, obj: Any, made: Any, secret: str) -> None:
        """The form's row is the one that was made. The secret lives as long as this request, and is kept nowhere."""
        obj.__dict__.update(made.__dict__)
        request.issued_secret = secret  # type: ignore[attr-defined]

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: str | None = None) -> HttpResponse:
        return show_once(
            request,
            self.issued_template,
            title=str(self.copy_title),
            secret=request.issued_secret,  # type: ignore[attr-defined]
            of=obj,
            next_url=self.page_after(obj),
        )

    def revert_disabled(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never: going back to an earlier record would undo the revocation."""
        return True
