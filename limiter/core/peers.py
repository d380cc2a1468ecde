"""How many processes share a limit while the store is unavailable, as this one last learned it from the store."""

from __future__ import annotations

from collections import deque

EVERY_S = 1.0
"""Between two beats of a process."""
GONE_AFTER_S = 15.0
"""A process that has not been heard for so long has gone."""
SETTLED = 3
"""Beats after which every other process has had the time to count this one."""
_REMEMBERED = 600


class Peers:
    """The most processes that lived at once during this one's last 600 beats that the store answered: ten minutes.

    A process that leaves is counted on, in case it comes back during an outage, when nobody could hear of it. Beats
    are counted and not time, because nothing is learned in an outage, however long. ``expected``: how many processes
    there may be, or 0; never fewer are counted.
    """

    def __init__(self, *, expected: int = 0) -> None:
        self._expected = expected
        self._heard: deque[int] = deque(maxlen=_REMEMBERED)
        self.known = expected
        """0: nothing is known, and nobody may rely on it that others count this process."""

    def heard(self, living: int) -> None:
        """The store has counted so many processes, this one among them."""
        self._heard.append(living)
        if len(self._heard) >= SETTLED:
            self.known = max(self._expected, *self._heard)

    def share(self, limit: int) -> int:
        """What this process may admit of ``limit`` by itself. Knowing nothing: one unit, which every process has."""
        return max(1, limit // self.known) if self.known else 1
