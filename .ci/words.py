"""Find words that docs/style.md keeps out of prose and names.

Each directory has an allowed count in words.json, and a count may only fall. `--list [PATH ...]` prints every place,
`--update` lowers the counts after you have removed some; nothing raises them.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("dashboard", "docs", "limiter", "quota_platform", "tenants", "tests")
SUFFIXES = (".md", ".py", ".js", ".lua", ".html", ".txt")
EXEMPT = ("CHANGELOG.md", "docs/style.md", "tests/test_words.py")
"""The history stands as it was written, and the other two quote the words."""
MACHINES = (
    "it|(?:(?:script|store|worker|server|header|response|process|gateway|code|table|row|browser|client|upstream|database|task"
    "|limit|setting|file|sandbox)s?|CXone)"
)
WORDS = [
    (re.compile(pattern), suggestion)
    for pattern, suggestion in (
        (r"\b[Ww]hoever\b", "you, anyone who, the caller"),
        (r"\b[Ww]hom\b", "who, or name the person"),
        (r"\b[Ww]hat (?:is|are|was|were|has|had|it|they|he|we)\b(?![^.|]*\?)", "the noun"),
        (r"(?<![A-Za-z])told(?![a-z])|\bTold\b", "reported, notified, given"),
        (
            r"\b(?:[Aa]n?|[Tt]he|[Ii]ts|[Tt]heir|[Ee]very|[Ee]ach|[Nn]o|[Oo]ne|[Tt]his|[Ww]hose|[Oo]f)"
            r" (?:\w+ )?answers?\b"
            r"|\b\w*_answers?\b|\banswers?_\w+|\b[A-Z]?\w*Answers?\b",
            "response",
        ),
        (r"(?<=_)answers?(?=_)", "response"),
        (r"\b(?:is|are|was|were|be|been|being) answered (?:with )?(?:an? )?[1-5]\d\d\b", "gets a 429"),
        (r"(?<=_)(?:whom|whoever)(?=_|\b)", "name the person"),
        (r"\btest_what_(?:is|are|was|were)_\w+", "the noun"),
        (r"\b_?MOST_\w+|\b\w+_MOST\b", "MAX_"),
        (r"\b(?:is|are|was|were|be|been|being|stays?|goes|[Ww]hile away|\w*_is_)[ _]?away\b", "unavailable"),
        (rf"\b(?:{MACHINES}) (?:says?|said|asks?|asked|knows?|knew)\b", "report, request, hold: a plain verb"),
    )
]


class Place(NamedTuple):
    file: str
    line: int
    word: str
    suggestion: str

    @property
    def directory(self) -> str:
        """The first two directories of the file, for those are what one change usually touches."""
        return "/".join(self.file.split("/")[:-1][:2]) or "."


def in_text(file: str, text: str) -> Iterator[Place]:
    for number, line in enumerate(text.splitlines(), 1):
        if file.endswith(".md"):  # a name in code is found where it is defined
            line = re.sub(r"`[^`]*`", "`", line)
        for pattern, suggestion in WORDS:
            for match in pattern.finditer(line):
                yield Place(file, number, match[0], suggestion)


def files(root: Path) -> Iterator[Path]:
    yield from sorted(root.glob("*.md"))
    for room in ROOMS:
        for path in sorted((root / room).rglob("*")):
            if path.suffix in SUFFIXES and not path.name.endswith(".min.js"):
                yield path


def find(root: Path) -> list[Place]:
    names = [(path, path.relative_to(root).as_posix()) for path in files(root)]
    return [place for path, name in names if name not in EXEMPT for place in in_text(name, path.read_text())]


def too_many(places: Sequence[Place], allowed: dict[str, int]) -> list[Place]:
    """The places of every directory that has more than it is allowed."""
    counts = Counter(place.directory for place in places)
    return [place for place in places if counts[place.directory] > allowed.get(place.directory, 0)]


def lowered(places: Sequence[Place], allowed: dict[str, int]) -> dict[str, int]:
    counts = Counter(place.directory for place in places)
    fewer = {name: min(counts[name], most) for name, most in allowed.items()}
    return {name: count for name, count in sorted(fewer.items()) if count}


def main(arguments: Sequence[str], root: Path = ROOT) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--update", action="store_true", help="lower the allowed counts to the present ones")
    parser.add_argument("--list", nargs="*", metavar="PATH", help="print every place in files that begin so")
    options = parser.parse_args(arguments)
    places, ratchet = find(root), root / ".ci" / "words.json"
    allowed: dict[str, int] = json.loads(ratchet.read_text())
    if options.list is not None:
        shown = [place for place in places if place.file.startswith(tuple(options.list or ("",)))]
    else:
        shown = too_many(places, allowed)
    for place in shown:
        print(f"{place.file}:{place.line}: {place.word!r}: {place.suggestion}")
    if options.update:
        ratchet.write_text(json.dumps(lowered(places, allowed), indent=2) + "\n")
    if too_many(places, allowed):
        print("More of these words than .ci/words.json allows for the directory; see docs/style.md.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
