"""What the management API answers besides DRF's own errors; each becomes a problem document.

APIException (DRF)
├── Conflict           the rows as they are now forbid it             409
├── LengthRequired     a body without a stated length                 411
└── PayloadTooLarge    a body over DATA_UPLOAD_MAX_MEMORY_SIZE        413
"""

from __future__ import annotations

from django.conf import settings
from rest_framework.exceptions import APIException


class Conflict(APIException):
    """The request was fine, but the rows as they are now forbid it. ``extra`` joins the problem document."""

    status_code = 409
    default_detail = "Somebody changed this at the same moment; read it again and repeat your change."
    default_code = "conflict"

    def __init__(self, detail: str | None = None, **extra: object) -> None:
        super().__init__(detail)
        self.extra = extra


class LengthRequired(APIException):
    """The body came in chunks; its length must be stated, so that nothing is read in vain."""

    status_code = 411
    default_detail = "Send the body with a Content-Length header, not in chunks."
    default_code = "length_required"


class PayloadTooLarge(APIException):
    """The body is larger than the management API reads."""

    status_code = 413
    default_code = "too_large"

    def __init__(self) -> None:
        super().__init__(f"The body may have at most {settings.DATA_UPLOAD_MAX_MEMORY_SIZE:,} bytes.")
