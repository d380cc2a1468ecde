"""What a public name may look like: connections, tenants and actions share one rule."""

from __future__ import annotations

import re

from django.core.validators import RegexValidator

LONGEST = 128

NAME = RegexValidator(
    r"\A[A-Za-z0-9][A-Za-z0-9._-]*\Z",
    "Use letters, digits, dot, dash and underscore, starting with a letter or digit.",
)


def is_name(text: str) -> bool:
    """Whether something may have this public name at all."""
    return len(text) <= LONGEST and re.fullmatch(NAME.regex, text) is not None
