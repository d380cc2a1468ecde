"""After a save: on how many workers the edit is live, as a message whose numbers a script keeps up to date."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext as _

from quota_platform.base import changes
from quota_platform.base.models.published import Published


def say(request: HttpRequest, row: object) -> None:
    """Add the message, if workers hold copies of such a row. For the edit's own transaction."""
    if not isinstance(row, Published):
        return
    said = format_html(
        '<span data-rollout="{}" data-change="{}" data-part="{}" data-all="{}" data-done="{}" role="status">{}</span>',
        reverse("api-rollout"),
        changes.latest_id(),
        _("Live on {live} of {workers} workers."),
        _("Live on {live} of {workers} workers after {seconds} s."),
        _("Live on all {workers} workers."),
        _("The workers take this in within a second."),
    )
    messages.info(request, said)
