"""Celery's clock, which logs an unavailable store once, in one line."""

from __future__ import annotations

import logging
from typing import Any

from celery.beat import PersistentScheduler, SchedulingError

log = logging.getLogger(__name__)


class BeatScheduler(PersistentScheduler):
    """``CELERY_BEAT_SCHEDULER``. What could not be sent is sent at its next turn."""

    _trouble = ""

    def apply_entry(self, entry: Any, producer: Any = None) -> None:
        try:
            self.apply_async(entry, producer=producer, advance=False)
        except SchedulingError as error:
            self._say(f"The clock cannot ask for work: {error.__cause__ or error}")
        else:
            self._say("")

    def _say(self, trouble: str) -> None:
        if trouble != self._trouble:
            self._trouble = trouble
            log.warning(trouble or "The clock can ask for work again")
