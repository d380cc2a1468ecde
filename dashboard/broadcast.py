"""Reads the watched tenants of this worker once a second, and wakes the viewers of each page for a new frame."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable, Collection, Mapping

from dashboard import news
from dashboard.charting import Wanted
from dashboard.deltas import Frame
from dashboard.live import Live
from dashboard.seats import RENEW_S, PageSeat, Seats
from dashboard.streams import FAULT, LEAVING, NO_RIGHT, SILENT, SILENT_S, LiveStream, Viewer
from dashboard.topics import Shown, StreamTopic, tenant
from dashboard.viewers import Asked, Sight, sight, sights
from limiter import clients
from limiter.gateway.runtime import Runtime
from limiter.live.queries import Aside

EVERY_S = 1.0
CHECK_S = 30.0
UNCHECKED_S = 300.0
"""With the database away nobody's right can be checked; an open page goes on for so long."""
LATELY_S = 30.0
"""A stream is kept so long after it was polled, joined or left last: longer than its first frame takes."""
_AT_ONCE = 25
"""Viewers woken before calls get their turn again: five hundred in one go would hold calls up by milliseconds."""

log = logging.getLogger(__name__)


class Broadcast:
    """One per worker: the streams that are watched in it, and their viewers."""

    def __init__(
        self,
        live: Live,
        *,
        seats: Seats,
        look: Callable[[Collection[Asked]], Mapping[Asked, Sight | None]] = sights,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.seats = seats
        self._look = look
        self._live = live
        self._clock = clock
        self._aside = Aside(2, name="rights", keep=True)
        self._streams: dict[StreamTopic, LiveStream] = {}
        self._wanted_at: dict[StreamTopic, float] = {}
        self._viewers: dict[Viewer, tuple[Shown, PageSeat]] = {}
        self._changed: set[int] = set()
        self._blind = False
        self._renewed_at = clock()
        self._checking: asyncio.Task[None] | None = None
        self._renewing: asyncio.Task[None] | None = None
        self._tasks: list[asyncio.Task[None]] = []

    @classmethod
    def of(cls, runtime: Runtime) -> Broadcast:
        """That of a running worker."""
        return cls(Live(runtime), seats=Seats(clients.async_client()))

    def open(self) -> None:
        """Start to read, and to hear whose rights changed."""
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self._run()), loop.create_task(news.listen(self._heard))]

    async def close(self) -> None:
        """Close every page; they come back to another worker."""
        for viewer in self._viewers:
            viewer.end(LEAVING)
        for task in (*self._tasks, self._checking, self._renewing):
            await _cancelled(task)
        await news.close()
        await self._live.close()
        await self._aside.close()
        await self.seats.close()

    async def sight(self, session_key: str | None, shown: Shown = "") -> Sight | None:
        """What a page may show the person of this session now."""
        return await self._aside.run(sight, session_key, shown)

    async def join(self, session_key: str, seen: Sight, *, shown: Shown, seat: PageSeat) -> Viewer:
        """A viewer of one page from now on; the caller must call :meth:`leave` later."""
        viewer = Viewer(session_key, seen.person, clock=self._clock)
        # After a restart everybody comes back at once, and need not be looked at again at once.
        viewer.checked_at -= random.uniform(0, CHECK_S / 2)
        self._viewers[viewer] = (shown, seat)
        try:
            viewer.watch(await self._stream(seen.topic(shown)))
        except BaseException:
            await self.leave(viewer)
            raise
        return viewer

    async def leave(self, viewer: Viewer) -> None:
        """The viewer's page is closed. It may be loaded again in a moment, and then finds its stream."""
        if viewer.stream is not None:
            self._wanted_at[viewer.stream.topic] = self._clock()
        viewer.watch(None)
        _, seat = self._viewers.pop(viewer, ("", None))
        if seat is not None:
            await self.seats.leave(seat)

    async def newest(self, topic: StreamTopic) -> str:
        """The newest frame, whole, for who polls."""
        return (await self._stream(topic)).text(after=None)

    async def chart(self, tenant_id: str, asked: Wanted) -> Frame:
        """A tenant's chart; raises a database fault and TooManyFlights."""
        topic = tenant(tenant_id)
        await self._stream(topic)
        return await self._live.chart(topic, asked)

    async def _stream(self, topic: StreamTopic) -> LiveStream:
        """The stream of this topic, with a frame at once when it is new."""
        self._wanted_at[topic] = self._clock()
        stream = self._streams.setdefault(topic, LiveStream(topic))
        if not stream.seq:
            await self._live.read(await self._live.choose([topic]))
            await self._begin(stream)
        return stream

    async def _begin(self, stream: LiveStream) -> None:
        """Its first frame and the time before it: by a page or by a tick, of which one may overtake the other."""
        frame, before = await self._live.frame(stream.topic), await self._live.before(stream.topic)
        if not stream.seq:
            stream.begin(before)
            stream.advance(frame)

    async def _run(self) -> None:
        """Tick every second by the clock; after a tick that came late the next one keeps its distance."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            started = loop.time()
            try:
                await self.tick()
            except Exception:
                log.exception("The live pages got no frame; it is tried again")
            due = max(due + EVERY_S, started + 0.9 * EVERY_S)
            await asyncio.sleep(due - loop.time())

    async def tick(self) -> None:
        """Read the watched tenants and hand every stream its next frame; look after the viewers."""
        self._look_after()
        streams = self._watched()
        self._live.forget(streams)
        if streams:
            await self._live.read(await self._live.choose(streams))
            await asyncio.gather(*map(self._advance, list(streams.values())))

    def _watched(self) -> dict[StreamTopic, LiveStream]:
        """The streams that somebody watches or wanted lately; the others are dropped."""
        lately = self._clock() - LATELY_S
        self._wanted_at = {topic: at for topic, at in self._wanted_at.items() if at > lately}
        kept = {topic: each for topic, each in self._streams.items() if each.viewers or topic in self._wanted_at}
        self._streams = kept
        return kept

    async def _advance(self, stream: LiveStream) -> None:
        try:
            if stream.seq:
                stream.advance(await self._live.frame(stream.topic))
            else:
                await self._begin(stream)
        except Exception:
            log.exception("A live page could not be made; its viewers are sent to try again")
            for viewer in list(stream.viewers):
                viewer.end(FAULT)
            return
        for number, viewer in enumerate(list(stream.viewers)):
            viewer.wake.set()
            if number % _AT_ONCE == _AT_ONCE - 1:
                await asyncio.sleep(0)

    def _look_after(self) -> None:
        """End who says nothing any more, look again at who may see what, and keep the seats."""
        now = self._clock()
        for viewer in self._viewers:
            if viewer.silent_for_s > SILENT_S:
                viewer.end(SILENT)
        if self._checking is None or self._checking.done():
            due = [each for each in self._viewers if now - each.checked_at >= CHECK_S or self._is_news(each)]
            self._changed.clear()
            self._checking = asyncio.ensure_future(self._check(due)) if due else None
        if now - self._renewed_at >= RENEW_S:
            self._renewed_at = now
            seats = [seat for _, seat in self._viewers.values()]
            self._renewing = asyncio.get_running_loop().create_task(self.seats.renew(seats))

    def _is_news(self, viewer: Viewer) -> bool:
        return viewer.person in self._changed or news.EVERYONE in self._changed

    def _heard(self, person: int) -> None:
        self._changed.add(person)

    async def _check(self, viewers: Collection[Viewer]) -> None:
        """Look at their rights again, in one go; a page whose right is gone is closed."""
        try:
            seen = await self._aside.run(self._look, {self._asked(viewer) for viewer in viewers})
        except Exception as error:
            if not self._blind:
                log.warning("The rights of open pages cannot be checked: %s", type(error).__name__)
            self._blind = True
            self._changed |= {viewer.person for viewer in viewers}
            for viewer in viewers:
                if self._clock() - viewer.checked_at > UNCHECKED_S:
                    viewer.end(FAULT)
            return
        self._blind = False
        for viewer in viewers:
            if viewer in self._viewers and (asked := self._asked(viewer)) in seen:
                viewer.checked_at = self._clock()
                await self._settle(viewer, seen[asked])

    def _asked(self, viewer: Viewer) -> Asked:
        shown, _ = self._viewers.get(viewer, ("", None))
        return viewer.session_key, shown

    async def _settle(self, viewer: Viewer, seen: Sight | None) -> None:
        """Let the viewer continue with the tenants that they may see now."""
        shown, _ = self._viewers[viewer]
        if seen is None or seen.person != viewer.person or not seen.of(shown):
            viewer.end(NO_RIGHT)
        elif viewer.stream is not None and viewer.stream.topic != seen.topic(shown):
            try:
                stream = await self._stream(seen.topic(shown))
            except Exception:
                log.exception("A live page cannot go on with other tenants; it is sent to try again")
                viewer.end(FAULT)
                return
            if viewer in self._viewers:
                viewer.watch(stream)


async def _cancelled(task: asyncio.Task[None] | None) -> None:
    """Cancel until it has ended: redis-py loses a cancellation that comes while it subscribes."""
    while task is not None and not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=0.05)
