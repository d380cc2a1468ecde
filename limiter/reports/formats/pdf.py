"""The summary as a PDF with charts, for people who read rather than calculate."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import tzinfo
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from reportlab.lib.colors import Color
from reportlab.lib.units import mm
from reportlab.platypus import Flowable, KeepTogether, Paragraph, Spacer, Table, TableStyle

from limiter.core.types import MICROS
from limiter.record.limit_names import limit_in_words
from limiter.reports import consumption, figures, findings, in_flight, incomplete, local_time, manifest, pdf_charts
from limiter.reports.consumption import Consumption
from limiter.reports.naming import TenantNames
from limiter.reports.pdf_parts import BODY, CODE, FIGURE, HEAD, LINE, SMALL, TITLE, WIDTH, document, foot_in, table
from limiter.reports.selection import Selection
from quota_platform.base.time_zones import UTC_NAME

_MAX_ROWS = 200
_MAX_NOTES = 10


def write(path: Path, columns: Sequence[str], rows: Iterable[Sequence[Any]], *, chosen: Selection) -> None:
    """One document. ``rows`` are the summary's, one for each tenant and action."""
    shown: list[Sequence[Any]] = []
    more = 0
    for row in rows:
        if len(shown) < _MAX_ROWS:
            shown.append(row)
        else:
            more += 1
    found = figures.of(chosen)
    windows, slots = consumption.fullest(chosen), in_flight.fullest(chosen)
    names = _names(chosen, found, shown, windows[0] + slots[0])
    made = document(path, title="Quota summary")
    story = [
        *_head(chosen, names),
        *_lacks(chosen),
        _numbers(found),
        *_findings(findings.sentences(chosen, found, names, windows=windows[0], slots=slots[0])),
        *_consumption(*windows, found, names, chosen.zone),
        *_in_flight(*slots, found, names, chosen.zone),
        *_charts(found, names, chosen.zone),
        *_limits(found, names),
        *_pairs(shown, more, names),
        *_verifying(),
    ]
    foot = foot_in(chosen.time_zone)
    made.build(story, onFirstPage=foot, onLaterPages=foot)


def _names(
    chosen: Selection, found: figures.Figures, shown: list[Sequence[Any]], drawn: Sequence[Consumption]
) -> TenantNames:
    """Of the tenants that the document names."""
    return TenantNames(
        [
            *(chosen.seen or ()),
            *(row[0] for row in shown),
            *(each.tenant_id for each in found.tenants + found.actions),
            *(row["tenant_id"] for row in found.limits),
            *(tenant_id for _, tenant_id, _ in found.multipliers),
            *(each.of.tenant_id for each in drawn),
        ]
    )


def _head(chosen: Selection, names: TenantNames) -> list[Flowable]:
    parts = [f"{local_time.text(chosen.since, chosen.zone)} to {local_time.text(chosen.until, chosen.zone)}"]
    if chosen.time_zone != UTC_NAME:
        parts.append(f"times of {chosen.time_zone}")
    seen = chosen.seen
    parts.append("all tenants" if seen is None else "tenants: " + (", ".join(sorted(map(names.of, seen))) or "none"))
    if chosen.actions:
        parts.append("actions: " + ", ".join(sorted(chosen.actions)))
    return [Paragraph("Quota summary", TITLE), Paragraph(escape(" · ".join(parts)), BODY), Spacer(1, 4 * mm)]


def _lacks(chosen: Selection) -> list[Flowable]:
    """The known gaps, before anybody reads a number."""
    notes = incomplete.notes(chosen)
    if not notes:
        return []
    data = [Paragraph(escape(note), BODY) for note in notes[:_MAX_NOTES]]
    if len(notes) > _MAX_NOTES:
        data.append(Paragraph(f"{len(notes) - _MAX_NOTES:,} more: see the manifest.", BODY))
    return [Paragraph("The record of this time is incomplete", HEAD), *data, Spacer(1, 4 * mm)]


def _numbers(found: figures.Figures) -> Flowable:
    calls = found.allowed_in_all + found.refused_in_all
    share = f"{found.refused_in_all / calls:.1%} of calls" if calls else "no calls"
    cells = [
        (f"{calls:,}", "calls"),
        (f"{found.allowed_in_all:,}", "allowed"),
        (f"{found.refused_in_all:,}", f"refused · {share}"),
        (f"{found.shadow_in_all:,}", "would have been refused (shadow)"),
    ]
    cards = Table([[[Paragraph(n, FIGURE), Paragraph(label, SMALL)] for n, label in cells]], [WIDTH / 4] * 4)
    cards.setStyle(TableStyle([("BOX", (0, 0), (-1, -1), 0.5, LINE), ("INNERGRID", (0, 0), (-1, -1), 0.5, LINE)]))
    return cards


def _findings(sentences: list[str]) -> list[Flowable]:
    return [Paragraph("Findings", HEAD), *(Paragraph(escape(each), BODY, bulletText="\u2022") for each in sentences)]


def _charts(found: figures.Figures, names: TenantNames, zone: tzinfo) -> list[Flowable]:
    sections = [
        ("Calls allowed over time", _bars_over_time(found, found.allowed, pdf_charts.ACCENT, zone)),
        ("Refusals over time", _bars_over_time(found, found.refused, pdf_charts.STOP, zone)),
        ("Busiest tenants: allowed and refused", _bars(found.tenants, names)),
        ("Busiest actions: allowed and refused", _bars(found.actions, names)),
        ("Multipliers: each change, and what held after it", _steps(found, names, zone)),
    ]
    story: list[Flowable] = []
    for title, drawing in sections:
        body = drawing if drawing is not None else Paragraph("Nothing in this time.", BODY)
        story.append(KeepTogether([Paragraph(title, HEAD), Spacer(1, 2 * mm), body]))
    if found.more_multipliers:
        story.append(Paragraph("More changes of multipliers than are drawn: see the record.", SMALL))
    return story


def _bars_over_time(found: figures.Figures, values: list[int], color: Color, zone: tzinfo) -> Flowable | None:
    return pdf_charts.over_time(found.moments, values, color=color, zone=zone)


def _bars(busiest: list[figures.Busy], names: TenantNames) -> Flowable | None:
    named = [(" / ".join(filter(None, (names.of(each[0]), each[1]))), *each[2:]) for each in busiest]
    return pdf_charts.bars(named)


def _steps(found: figures.Figures, names: TenantNames, zone: tzinfo) -> Flowable | None:
    changes = [(at, names.of(of), after) for at, of, after in found.multipliers]
    return pdf_charts.steps(changes, found.moments, zone=zone)


def _consumption(
    shown: list[Consumption], more: int, found: figures.Figures, names: TenantNames, zone: tzinfo
) -> list[Flowable]:
    """The fullest limits, each with a chart and its figures in words."""
    title = Paragraph("Consumption against limits: those that were fullest", HEAD)
    if not shown:
        return [title, Paragraph("Usage of this time is not enough to determine any limit's consumption.", BODY)]
    note = (
        "Bars: units in the fullest window that ended in each span, of windows that begin with a whole minute, hour or "
        "day, as usage is kept: one that began in between may have held more. Red where it reached the limit. "
        "Line: the limit as it is now; dashed: the lowest that the multiplier cut it to. Looked at are the limits per "
        "action or tenant of the busiest tenants"
    )

    def window(each: Consumption) -> str:
        return f"in its fullest {each.of.limit.window_us // MICROS:,} s"

    return [*_drawn(title, shown, found, names, zone, window), _note(note, more)]


def _in_flight(
    shown: list[Consumption], more: int, found: figures.Figures, names: TenantNames, zone: tzinfo
) -> list[Flowable]:
    """The fullest concurrency limits; nothing where there is none."""
    if not shown:
        return []
    title = Paragraph("Calls in flight at once, against concurrency limits", HEAD)
    note = (
        "Bars: the most slots in use in each span, as the calls of the time found them. Red where they reached the "
        "limit. Line: the limit as it is now; dashed: the lowest in force. Looked at are the limits per action or "
        "tenant of the busiest tenants"
    )
    return [*_drawn(title, shown, found, names, zone, lambda _: "in flight at once"), _note(note, more)]


def _drawn(
    title: Flowable,
    shown: list[Consumption],
    found: figures.Figures,
    names: TenantNames,
    zone: tzinfo,
    words: Callable[[Consumption], str],
) -> list[Flowable]:
    parts: list[list[Flowable]] = []
    for each in shown:
        of, most = each.of, each.most
        where = f"{names.pair(of.tenant_id, of.action_id)} / {of.limit.name}"
        text = f"{where}: {most:,} of {of.limit.quota:,} {words(each)} ({each.share:.0%})"
        drawing = pdf_charts.against(each.peaks, each.effective, limit=of.limit.quota, moments=found.moments, zone=zone)
        parts.append([Paragraph(escape(text), BODY), drawing])
    parts[0].insert(0, title)
    return [KeepTogether(part) for part in parts]


def _note(text: str, more: int) -> Flowable:
    return Paragraph(f"{text}." + (f" Less full and not drawn: {more:,} more." if more else ""), SMALL)


def _limits(found: figures.Figures, names: TenantNames) -> list[Flowable]:
    heads = ["Tenant", "Action", "Limit", "Refusals", "Most used", "Limit set", "Lowest"]
    columns = ["action_id", "limit_name", "refusals", "most_used", "limit", "lowest"]
    named = [{**row, "limit_name": limit_in_words(row["limit_name"])} for row in found.limits]
    lines = [[names.of(row["tenant_id"]), *(row[name] for name in columns)] for row in named]
    title = Paragraph("Limits that refused most", HEAD)
    return [title, table(heads, lines, words=3) if lines else Paragraph("No limit refused a call.", BODY)]


def _pairs(shown: list[Sequence[Any]], more: int, names: TenantNames) -> list[Flowable]:
    """Of the summary's columns those that fit a page; a spreadsheet has all."""
    heads = ["Tenant", "Action", "Allowed", "Refused", "Shadow", "Cost"]
    story: list[Flowable] = [Paragraph("Tenants and actions", HEAD)]
    if not shown:
        return [*story, Paragraph("No calls in this time.", BODY)]
    story.append(table(heads, [[names.with_id(row[0]), *row[1:6]] for row in shown], words=2))
    if more:
        story.append(Paragraph(f"{more:,} more are not shown; export the summary as CSV or XLSX for all.", SMALL))
    return story


def _verifying() -> list[Flowable]:
    """A file cannot contain its own hash: the manifest beside it does."""
    text = (
        "This file has a signed manifest, which you fetch beside it (or find in the same mail). With a checkout of the "
        "platform, neither settings nor network are needed to check that no byte of the file was altered:"
    )
    public = escape(manifest.public_key())
    key = (
        f"KEY is the platform's public key. When this was made it was {public}. Compare it with the key that you got "
        "from the operator: a forger can print another one here."
    )
    command = "python manage.py verify_export FILE.pdf --manifest FILE.pdf.manifest.json --public-key KEY"
    body = [Paragraph(text, BODY), Paragraph(command, CODE), Paragraph(key, BODY)]
    return [KeepTogether([Paragraph("How to verify this file", HEAD), *body])]
