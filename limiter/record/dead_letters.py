"""Setting aside what cannot be stored, as it was, so that it holds nothing else up."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from django.db import transaction

from limiter.record.models import DeadLetter

log = logging.getLogger(__name__)


def keep(stream_id: str, *, stream: str, fields: Mapping[str, str], deliveries: int) -> None:
    """Keep an entry that failed by itself in every delivery."""
    log.error("%s of %s cannot be stored and is kept as a dead letter", stream_id, stream)
    with transaction.atomic():
        DeadLetter.objects.get_or_create(
            stream_id=stream_id,
            defaults={
                "stream": stream,
                "fields": {name: value.replace("\0", "\\0") for name, value in fields.items()},
                "error": f"could not be stored in {deliveries} deliveries",
                "deliveries": deliveries,
            },
        )
