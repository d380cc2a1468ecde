"""Building one export: claimed by one delivery, watched, cancelled, kept for a week, and exactly one file."""

from __future__ import annotations

import logging
import tempfile
import uuid
from collections.abc import Iterable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.core.files import File
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from limiter.reports import access, files, incomplete, mail, manifest, selection, sources
from limiter.reports.formats import writer
from limiter.reports.models import Export
from limiter.reports.selection import Selection
from quota_platform.base.kept import kept_text

KEPT = timedelta(days=7)
SILENT = timedelta(minutes=2)
"""A builder that said nothing for so long is dead, and another may take over."""
_NOTED_EVERY = 2_000
_FAILED = kept_text("{fault}: see the worker's log")
log = logging.getLogger(__name__)
State = Export.State


class Stopped(Exception):
    """The export was cancelled, or another builder took it over."""


def build(export_id: uuid.UUID | str, *, noted_every: int = _NOTED_EVERY) -> bool:
    """Make the file of an export; False when somebody else has, or does, or it was cancelled."""
    claim = uuid.uuid4().hex
    if not _claim(export_id, claim):
        return False
    export = Export.objects.get(pk=export_id)
    export.claim = claim
    access.narrow(export)
    Export.objects.filter(pk=export_id, claim=claim).update(scope=export.scope)
    try:
        with tempfile.TemporaryDirectory(prefix="export-") as folder:
            path = Path(folder) / export.file_name
            rows = _noted(export, sources.rows(selection.of(export)), every=noted_every)
            count = write(path, selection.of(export), format=export.format, rows=rows)
            return _finish(export, path, count)
    except Stopped:
        Export.objects.filter(pk=export_id, claim=claim, cancel_asked=True).update(
            state=State.CANCELLED, finished_at=timezone.now()
        )
        return False
    except Exception as error:
        Export.objects.filter(pk=export_id, claim=claim).update(
            state=State.FAILED, finished_at=timezone.now(), error=_FAILED.format(fault=type(error).__name__)
        )
        raise


def write(path: Path, chosen: Selection, *, format: str, rows: Iterable[sources.Row]) -> int:
    """Write the rows in a format; returns how many there were."""
    counted = _Counted(rows)
    writer(format)(path, sources.columns(chosen), counted, chosen=chosen)
    return counted.count


def signed(path: Path, chosen: Selection, *, count: int, format: str, who: str) -> dict[str, Any]:
    """The manifest of a file."""
    return manifest.sign(
        {
            "file": path.name,
            "format": str(format),
            "rows": count,
            "bytes": path.stat().st_size,
            "sha256": manifest.digest(path),
            "selection": chosen.data(),
            "columns": sources.columns(chosen),
            "incomplete": incomplete.notes(chosen),
            "requested_by": who,
            "made_at": timezone.now().isoformat(),
        }
    )


def cancel(export: Export) -> None:
    """Cancel it: a waiting export ends now, one that is being built at its next note."""
    now = timezone.now()
    Export.objects.filter(pk=export.pk, state=State.WAITING).update(
        state=State.CANCELLED, cancel_asked=True, finished_at=now
    )
    Export.objects.filter(pk=export.pk, state=State.BUILDING).update(cancel_asked=True)


def expire() -> int:
    """Delete the files whose time is over; returns how many."""
    gone = 0
    for export in Export.objects.filter(state=State.DONE, expires_at__lte=timezone.now()):
        files.storage().delete(export.stored_as)
        gone += Export.objects.filter(pk=export.pk, state=State.DONE).update(state=State.EXPIRED, stored_as="")
    return gone


def unfinished() -> list[uuid.UUID]:
    """The exports that nobody builds: not yet begun, or left by a builder that died."""
    return list(Export.objects.filter(_free()).values_list("pk", flat=True)[:100])


def _free() -> Q:
    """Those that nobody builds and that this release knows how to build; a newer one may know more kinds."""
    known = Q(kind__in=Export.Kind.values, format__in=Export.Format.values)
    return known & (Q(state=State.WAITING) | Q(state=State.BUILDING, alive_at__lt=timezone.now() - SILENT))


def _claim(export_id: uuid.UUID | str, claim: str) -> bool:
    now = timezone.now()
    taken = Export.objects.filter(_free(), pk=export_id).update(state=State.BUILDING, claim=claim, alive_at=now, rows=0)
    return bool(taken)


def _noted(export: Export, rows: Iterator[sources.Row], *, every: int) -> Iterator[sources.Row]:
    """The rows, telling progress now and then and stopping when the export is not ours any more."""
    mine = Export.objects.filter(pk=export.pk, state=State.BUILDING, cancel_asked=False)
    for number, row in enumerate(rows):
        if number % every == 0 and not mine.filter(claim=export.claim).update(rows=number, alive_at=timezone.now()):
            raise Stopped
        yield row


def _finish(export: Export, path: Path, count: int) -> bool:
    """Store the file, then say so only if the claim still holds; otherwise the file goes."""
    facts = signed(path, selection.of(export), count=count, format=export.format, who=export.requested_name)
    store = files.storage()
    with path.open("rb") as file:
        stored = store.save(f"{export.pk}/{export.claim}.{export.format}", File(file))
    now = timezone.now()
    with transaction.atomic():
        won = Export.objects.filter(pk=export.pk, claim=export.claim, state=State.BUILDING, cancel_asked=False).update(
            state=State.DONE, rows=count, stored_as=stored, manifest=facts, finished_at=now, expires_at=now + KEPT
        )
        if won:
            mail.put(export)
    if won:
        _clear(export, keep=Path(stored).name)
        return True
    store.delete(stored)
    raise Stopped


def _clear(export: Export, *, keep: str) -> None:
    """Delete what a builder left that died between storing its file and saying so."""
    store = files.storage()
    for name in store.listdir(str(export.pk))[1]:
        if name != keep:
            store.delete(f"{export.pk}/{name}")


class _Counted:
    """Rows that remember how many went by."""

    def __init__(self, rows: Iterable[sources.Row]) -> None:
        self._rows = rows
        self.count = 0

    def __iter__(self) -> Iterator[sources.Row]:
        for row in self._rows:
            self.count += 1
            yield row
