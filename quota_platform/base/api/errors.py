"""What the management API answers besides DRF's own errors; each becomes a problem document.

APIException (DRF)
├── Conflict           the rows as they are now forbid it             409
├── LengthRequired     a body without a stated length                 411
├── Stale              the row is not the one that was read           412
├── PayloadTooLarge    a body over DATA_UPLOAD_MAX_MEMORY_SIZE        413
└── Unconditional      a write that has to say which row it read      428
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


class PreconditionFailed(APIException):
    """The row has changed since the caller read it. ``extra`` joins the problem document."""

    status_code = 412
    default_detail = "Somebody has changed this since you read it; nothing was done. Read it again and repeat yours."
    default_code = "stale"

    def __init__(self, detail: str | None = None, **extra: object) -> None:
        super().__init__(detail)
        self.extra = extra


class Unconditional(APIException):
    """The write replaces fields that it does not name, so it must name the version that was read (RFC 6585)."""

    status_code = 428
    default_detail = (
        "This replaces what others may have changed meanwhile. Send the ETag of the row as you read it in If-Match,"
        " or * to replace whatever there is."
    )
    default_code = "unconditional"


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
