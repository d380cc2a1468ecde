"""``If-Match`` and ``If-None-Match`` (RFC 9110, 13.1): whether a request still means the row as it is."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from rest_framework.exceptions import ValidationError
from rest_framework.request import Request

_TAG = r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"'
_LIST = re.compile(rf"[ \t,]*{_TAG}(?:[ \t]*,[ \t,]*{_TAG})*[ \t,]*")
_EACH = re.compile(_TAG)


@dataclass(frozen=True, slots=True)
class Tags:
    """What one of the two fields names: any row at all, or rows with one of these tags."""

    any: bool
    listed: frozenset[str]

    def match_strongly(self, tags: Collection[str]) -> bool:
        """As If-Match compares: a weak tag is like no other."""
        return self.any or not self.listed.isdisjoint(tags)

    def match_weakly(self, tags: Collection[str]) -> bool:
        """As If-None-Match compares."""
        return self.any or not {tag.removeprefix("W/") for tag in self.listed}.isdisjoint(tags)


def read(request: Request, field: str) -> Tags | None:
    """The field's tags, None where the request has none; raises ValidationError when it cannot be read."""
    given = request.headers.get(field)
    if given is None:
        return None
    if given.strip() == "*":
        return Tags(True, frozenset())
    if not _LIST.fullmatch(given):
        remedy = 'Send * or ETags as you read them, in double quotes, with commas between them: "abc", "def".'
        raise ValidationError({field: [remedy]})
    return Tags(False, frozenset(_EACH.findall(given)))
