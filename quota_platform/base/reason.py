"""Why something is changed, as the record keeps it: one length and one set of characters, however it is sent."""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

from django.utils.translation import gettext as _

MAX_REASON = 255
_EXTENDED = re.compile(
    r"(utf-8)'[A-Za-z0-9-]*'((?:[A-Za-z0-9!#$&+.^_`|~-]|%[0-9A-Fa-f]{2})*)", re.ASCII | re.IGNORECASE
)
"""An ext-value of RFC 8187, as in ``UTF-8'de'Gr%C3%B6%C3%9Fe``."""


class ReasonRefused(ValueError):
    """The reason cannot be kept; the message says what may be sent."""


def check(reason: str) -> str:
    """The reason without blanks around it; raises :class:`ReasonRefused`."""
    reason = reason.strip()
    if len(reason) > MAX_REASON or not reason.isprintable():
        raise ReasonRefused(_("Use at most {most} printable characters.").format(most=MAX_REASON))
    return reason


def from_header(value: str) -> str:
    """The reason in a header, as ASGI hands it on (bytes as Latin-1): UTF-8, an ext-value of RFC 8187, or Latin-1."""
    try:
        raw = value.encode("latin1")
    except UnicodeEncodeError:
        return check(value)
    if extended := _EXTENDED.fullmatch(value):
        raw = unquote_to_bytes(extended[2])
    try:
        return check(raw.decode("utf-8"))
    except UnicodeDecodeError:
        if extended:
            raise ReasonRefused(_("The percent-encoded characters are not UTF-8.")) from None
        return check(value)
