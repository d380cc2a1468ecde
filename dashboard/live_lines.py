"""The line of a limit in a live chart: read once a second while somebody watches, and completed from the record."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from limiter.demand.points import Level

KEPT = 300
"""Seconds of history that are kept while somebody watches."""
GAP_S = 5.0
"""Seconds without a reading after which a line has a gap."""
_NEWS_S = 5
"""The newest seconds of the record, which may still grow: workers send twice a second."""
_NOTHING = Level()


class Point(NamedTuple):
    """``at``: epoch seconds. ``used``: the most since the point before; ``refused``: calls since then."""

    at: float
    used: int
    effective: int
    refused: int = 0


@dataclass(slots=True)
class LiveLine:
    points: deque[Point] = field(default_factory=lambda: deque(maxlen=KEPT))
    drawn: dict[int, Level] = field(default_factory=dict)
    """The newest seconds of the record that are in the line, as they were then."""

    def read(self, at: float, *, used: int, effective: int) -> bool:
        """Go on with a reading; whether the record has a part before it that nobody watched."""
        unwatched = not self.points or at - self.points[-1].at > GAP_S
        self.points.append(Point(at, used, effective))
        return unwatched

    def look_back(self, line: Iterable[tuple[int, Level]], *, now: int) -> None:
        """Put the record's seconds where nobody watched."""
        watched = {round(each.at) for each in self.points}
        before = [(second, level) for second, level in line if second not in watched]
        points = [Point(float(second), level.used, level.effective, level.refused) for second, level in before]
        self.points = deque(sorted([*points, *self.points]), maxlen=KEPT)
        self.drawn |= {second: level for second, level in before if second > now - _NEWS_S}

    def take(self, levels: Mapping[int, Level], *, now: int) -> Iterator[tuple[int, Level]]:
        """Add what the record has of the newest seconds to the last point, each call once; the seconds that it changed.

        A reading sees one instant of each second: calls that came and went between two are in the record alone.
        """
        self.drawn = {second: level for second, level in self.drawn.items() if second > now - _NEWS_S}
        for second in range(now - _NEWS_S + 1, now + 2):
            level, before = levels.get(second, _NOTHING), self.drawn.get(second, _NOTHING)
            if level != before:
                last = self.points[-1]
                refused = last.refused + level.refused - before.refused
                self.points[-1] = last._replace(used=max(last.used, level.used), refused=refused)
                self.drawn[second] = level
                yield second, level

    def with_gaps(self) -> list[tuple[float, Point | None]]:
        """The points, with an empty one where nothing was read for a while: no line is drawn across it."""
        found: list[tuple[float, Point | None]] = []
        for point in self.points:
            if found and point.at - found[-1][0] > GAP_S:
                found.append((found[-1][0] + 1, None))
            found.append((point.at, point))
        return found[-KEPT:]
