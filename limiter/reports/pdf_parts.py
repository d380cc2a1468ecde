"""What PDF documents share: type, colours, tables and the foot of a page."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import IO, Any
from xml.sax.saxutils import escape

from reportlab.lib.colors import HexColor, white
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.platypus import Paragraph, SimpleDocTemplate, Table, TableStyle

from quota_platform.base.time_zones import UTC_NAME

INK, MUTED, LINE, ACCENT = HexColor("#14181f"), HexColor("#525d6b"), HexColor("#d5dae1"), HexColor("#1d5fd0")
BODY = ParagraphStyle("body", fontName="Helvetica", fontSize=9, leading=13, textColor=INK)
SMALL = ParagraphStyle("small", parent=BODY, fontSize=7.5, leading=10, textColor=MUTED)
TITLE = ParagraphStyle("title", parent=BODY, fontName="Helvetica-Bold", fontSize=18, leading=24)
HEAD = ParagraphStyle("head", parent=BODY, fontName="Helvetica-Bold", fontSize=11, leading=16, spaceBefore=10)
FIGURE = ParagraphStyle("figure", parent=TITLE, fontSize=20, leading=24)
CODE = ParagraphStyle("code", parent=BODY, fontName="Courier", fontSize=8, spaceBefore=4, spaceAfter=4)
WIDTH = A4[0] - 36 * mm


def document(target: Path | IO[bytes], *, title: str) -> SimpleDocTemplate:
    """An empty document; build it with :func:`foot` on each page."""
    return SimpleDocTemplate(
        str(target) if isinstance(target, Path) else target, pagesize=A4, title=title, leftMargin=18 * mm,
        rightMargin=18 * mm, topMargin=16 * mm, bottomMargin=16 * mm,
    )  # fmt: skip


def table(heads: list[str], lines: list[list[Any]], *, words: int) -> Table:
    body = [[Paragraph(escape(v), SMALL) if isinstance(v, str) else f"{v:,}" for v in line] for line in lines]
    wide = WIDTH * 0.5 / words
    narrow = WIDTH * 0.5 / (len(heads) - words)
    made = Table([heads, *body], [wide] * words + [narrow] * (len(heads) - words), repeatRows=1)
    made.setStyle(
        TableStyle(
            [
                ("FONT", (0, 0), (-1, 0), "Helvetica-Bold", 8),
                ("FONT", (0, 1), (-1, -1), "Helvetica", 8),
                ("TEXTCOLOR", (0, 0), (-1, 0), MUTED),
                ("ALIGN", (words, 0), (-1, -1), "RIGHT"),
                ("VALIGN", (0, 0), (-1, -1), "MIDDLE"),
                ("LINEBELOW", (0, 0), (-1, -1), 0.4, LINE),
                ("ROWBACKGROUNDS", (0, 1), (-1, -1), [white, HexColor("#f6f7f9")]),
            ]
        )
    )
    return made


def foot_in(zone_name: str) -> Callable[[Any, Any], None]:
    """The foot of a page whose times are in this zone."""
    times = "Times are UTC" if zone_name == UTC_NAME else f"Times are those of {zone_name}, with their offset from UTC"

    def draw(canvas: Any, page: Any) -> None:
        canvas.setFont("Helvetica", 7.5)
        canvas.setFillColor(MUTED)
        canvas.drawString(18 * mm, 9 * mm, f"{times}. The figures are those of the record when this was made.")
        canvas.drawRightString(A4[0] - 18 * mm, 9 * mm, f"Page {page.page}")

    return draw


foot = foot_in(UTC_NAME)
