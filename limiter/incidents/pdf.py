"""The account of an incident as a PDF, to hand to somebody: English, like the record."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from xml.sax.saxutils import escape

from django.utils import translation
from reportlab.lib.units import mm
from reportlab.platypus import Flowable, Paragraph, Spacer

from limiter.incidents import account
from limiter.incidents.account import IncidentAccount
from limiter.incidents.changes import ChangeSeen
from limiter.incidents.models import Incident
from limiter.reports.pdf_parts import BODY, HEAD, SMALL, TITLE, document, foot, table


def write(incident: Incident) -> bytes:
    """The document as it is now."""
    with translation.override("en"):
        written = account.write(incident)
        target = BytesIO()
        made = document(target, title=f"Incident {incident.pk}")
        made.build(list(_story(written)), onFirstPage=foot, onLaterPages=foot)
        return target.getvalue()


def _story(written: IncidentAccount) -> Iterator[Flowable]:
    incident = written.incident
    yield Paragraph(escape(f"Incident {incident.pk}: {written.tenant_name}"), TITLE)
    yield Paragraph(escape(account.limit_of(incident)), BODY)
    yield Spacer(1, 4 * mm)
    for sentence in written.story:
        yield Paragraph(escape(sentence), BODY, bulletText="\u2022")
    yield from _changes("Changed in the hour before", written.before)
    yield from _changes("Changed since then", written.during)
    yield from _team(written)
    yield from _counts(incident)


def _changes(title: str, changes: list[ChangeSeen]) -> Iterator[Flowable]:
    yield Paragraph(title, HEAD)
    if not changes:
        yield Paragraph("Nothing that concerns this tenant.", BODY)
    for change in changes:
        by = f", by {change.by}" if change.by else ""
        why = f": {change.reason}" if change.reason else ""
        name = f" {change.name}" if change.name else ""
        yield Paragraph(escape(f"{change.at:%Y-%m-%d %H:%M:%S} {change.words}{name}{by}{why}"), BODY)
        for each in change.details:
            yield Paragraph(escape(f"{each.field}: {each.old or '-'} to {each.new or '-'}"), SMALL)


def _team(written: IncidentAccount) -> Iterator[Flowable]:
    yield Paragraph("Who acted", HEAD)
    incident = written.incident
    yield Paragraph(escape(f"Owner: {incident.owner or 'nobody'}"), BODY)
    if not written.entries:
        yield Paragraph("Nobody has acknowledged it or written a note.", BODY)
    for entry in written.entries:
        to = f" to {entry.to}" if entry.to else ""
        until = f" until {entry.until:%Y-%m-%d %H:%M}" if entry.until else ""
        text = f": {entry.text}" if entry.text else ""
        said = f"{entry.at:%Y-%m-%d %H:%M:%S} {entry.by} {entry.get_kind_display()}{to}{until}{text}"
        yield Paragraph(escape(said), BODY)


def _counts(incident: Incident) -> Iterator[Flowable]:
    yield Paragraph("Refused calls by API key and by action", HEAD)
    lines = [
        ["API key", key or "none", calls] for key, calls in sorted(incident.by_key.items(), key=lambda each: -each[1])
    ]
    lines += [
        ["action", action, calls] for action, calls in sorted(incident.by_action.items(), key=lambda each: -each[1])
    ]
    yield table(["Of", "Name", "Refused"], lines, words=2)
