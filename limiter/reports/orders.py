"""Ordering an export: checked, stamped with its author and their tenants, handed to Celery once it is saved."""

from __future__ import annotations

import logging
from typing import Any

from celery import signature
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.utils.translation import gettext
from kombu.exceptions import OperationalError

from limiter.reports import access, build, selection
from limiter.reports.models import Export
from quota_platform.base.kept import kept_text
from tenants import scope

log = logging.getLogger(__name__)

NOT_ALLOWED = kept_text("You may not export {kind}.")


def order(export: Export, *, user: Any) -> Export:
    """Save it and have it built; raises PermissionDenied or ValidationError."""
    selection.check(export)
    if not access.may_export(user, export.kind):
        raise PermissionDenied(gettext(NOT_ALLOWED).format(kind=export.get_kind_display()))
    seen = scope.names_of(user)
    export.scope = None if seen is None else sorted(seen)
    export.requested_by, export.requested_name = user, user.get_username()
    export.full_clean()
    export.save()
    transaction.on_commit(lambda: send(export.pk))
    return export


def send(export_id: Any) -> None:
    """Queue it for Celery; if the broker is unavailable, the next periodic run queues it again."""
    try:
        signature("limiter.tasks.build_export").delay(str(export_id))
    except OperationalError:
        log.warning("export %s waits: the broker is unavailable", export_id)


def tend() -> int:
    """Queue exports that nobody builds and delete expired ones; returns the number of deleted files."""
    for export_id in build.unfinished():
        send(export_id)
    return build.expire()
