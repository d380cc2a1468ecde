"""What a public name may look like: connections, tenants and actions share one rule."""

from django.core.validators import RegexValidator

NAME = RegexValidator(
    r"\A[A-Za-z0-9][A-Za-z0-9._-]*\Z",
    "Use letters, digits, dot, dash and underscore, starting with a letter or digit.",
)
