"""What pages show to try: commands, in fences of ``sh`` or indented beside their output; settings; requests."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from quota_platform.env import Env

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted(page for page in (ROOT / "docs").glob("*.md") if page.name != "README.md")]
"""By names of their own: docs/README.md is an index."""
_BLOCK = re.compile(r"^```(\w+)\n((?s:.*?))^```$|(?<=\n\n)((?:^ {4}.*\n(?:\n(?= {4}))?)+)", re.MULTILINE)
_COMMAND = re.compile(
    r"\$ |[A-Z_]+=|set -a|for \w+ in |(?:export|curl|docker|cp|chmod|rsync|make|python3?|\.venv/bin/python) "
)
_SETTING = re.compile(r"([A-Z_]+)=(.*)")
_REQUEST = re.compile(r"(POST|PUT|PATCH) (/\S+)\n(\{.*\})", re.DOTALL)


class Block(NamedTuple):
    """``language``: of a fence; "" of an indented block."""

    language: str
    text: str


def blocks(page: Path) -> Iterator[Block]:
    for language, fenced, indented in _BLOCK.findall(page.read_text() + "\n"):
        yield Block(language, fenced or re.sub(r"^ {4}", "", indented, flags=re.MULTILINE))


def commands(page: Path) -> list[str]:
    """One text for each command, as it stands on the page, without the prompt."""
    found = []
    for language, text in blocks(page):
        if language == "sh":
            found.append(text.rstrip())
        elif not language and not _are_settings(text):
            found += _in_block(text.splitlines())
    return found


def settings(page: Path) -> Iterator[dict[str, str]]:
    """Of each block of lines as they stand in ``.env``."""
    for language, text in blocks(page):
        if not language and _are_settings(text):
            yield dict(_SETTING.findall(text))


def requests(page: Path) -> Iterator[tuple[str, str, str]]:
    """Method, path and body of each request that a block shows without a client."""
    for language, text in blocks(page):
        if not language and (found := _REQUEST.match(text)):
            yield found[1], found[2], found[3].partition("\n\n")[0]


def _are_settings(text: str) -> bool:
    lines = [_SETTING.fullmatch(line) for line in text.split("\n") if line]
    return all(line and line[1] in Env.model_fields for line in lines)


def _in_block(lines: list[str]) -> Iterator[str]:
    at = 0
    while at < len(lines):
        if not _COMMAND.match(lines[at]):
            at += 1
            continue
        to = at + 1
        while to < len(lines) and _unfinished("\n".join(lines[at:to])):
            to += 1
        yield "\n".join(lines[at:to]).removeprefix("$ ")
        at = to


def _unfinished(text: str) -> bool:
    if text.endswith("\\") or (text.startswith("for ") and "\ndone" not in text):
        return True
    try:
        shlex.split(text, comments=True)
    except ValueError:  # a quotation is open
        return True
    return False
