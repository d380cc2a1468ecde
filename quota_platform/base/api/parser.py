"""Reading a JSON body: bounded, and with every way to be broken answered as 400."""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO, Any

from django.conf import settings
from rest_framework.exceptions import ParseError, ValidationError
from rest_framework.parsers import BaseParser
from rest_framework.renderers import JSONRenderer

from quota_platform.base import json_text
from quota_platform.base.api.errors import PayloadTooLarge


class BoundedJSONParser(BaseParser):
    """JSON in UTF-8, of at most DATA_UPLOAD_MAX_MEMORY_SIZE bytes.

    Django applies that setting to forms only; DRF's own parser reads a body of any size.
    """

    media_type = "application/json"
    renderer_class = JSONRenderer

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        body = stream.read(limit + 1)
        if len(body) > limit:
            raise PayloadTooLarge
        try:
            return json_text.read(body)
        except json_text.JsonRefused as error:
            if error.place:
                raise ValidationError({error.place: [error.message]}) from None
            raise ParseError(f"The body cannot be taken. {error.message}") from None
