"""Until when a store may decide a call: a command that it finds when it wakes up must not count later decisions.

A worker that gives a call up decides it by itself. A frozen store still has the command, and would decide it again.
"""

from __future__ import annotations

_MARGIN_US = 10_000
"""Two clocks part by less while nothing is heard for a minute or two."""
_HALF_US = 10_000_000


class _Ahead:
    """How far one store's clock is ahead of this worker's, at least: the most of what the last 10 to 20 s showed.

    A reply tells when the script ran, and was received after that: their difference is too small by the way back.
    """

    __slots__ = ("_before", "_since", "_until", "at_least_us")

    def __init__(self, ahead_us: int, now_us: int) -> None:
        self.at_least_us = self._before = self._since = ahead_us
        self._until = now_us + _HALF_US

    def heard(self, ahead_us: int, now_us: int) -> None:
        if now_us > self._until:
            self._before, self._since, self._until = self._since, ahead_us, now_us + _HALF_US
        elif ahead_us > self._since:
            self._since = ahead_us
        else:
            return
        self.at_least_us = max(self._before, self._since)


class Due:
    """By connection, since each may have a node of its own. Times are microseconds of this worker's steady clock."""

    def __init__(self, *, give_up_us: int) -> None:
        self._give_up_us = give_up_us - min(_MARGIN_US, give_up_us // 4)
        self._ahead: dict[int, _Ahead] = {}

    def at(self, connection: int, sent_us: int) -> int | None:
        """The instant of the store's clock by which a call sent now is given up; None while that clock is unknown."""
        ahead = self._ahead.get(connection)
        return None if ahead is None else sent_us + self._give_up_us + ahead.at_least_us

    def heard(self, connection: int, store_us: int, received_us: int) -> None:
        """A script that ran at ``store_us`` has answered."""
        ahead = self._ahead.get(connection)
        if ahead is None:
            self._ahead[connection] = _Ahead(store_us - received_us, received_us)
        else:
            ahead.heard(store_us - received_us, received_us)
