"""The websocket and the polled JSON: who gets frames, of whose tenants, and for how long."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Collection, Iterable
from typing import Any

import pytest
import redis.asyncio
from asgiref.sync import sync_to_async
from asgiref.testing import ApplicationCommunicator
from channels.sessions import CookieMiddleware
from django.conf import settings
from django.contrib.auth.models import User
from django.db import OperationalError
from django.test import Client

from dashboard import consumers, streams, topics
from dashboard.broadcast import CHECK_S, UNCHECKED_S, Broadcast
from dashboard.deltas import Frame
from dashboard.news import rights_changed
from dashboard.routing import websocket
from dashboard.seats import MAX_PER_PERSON, Seats
from dashboard.streams import SILENT_S
from dashboard.topics import StreamTopic
from dashboard.viewers import Asked, Sight, sights
from quota_platform.server.pages import Pages
from tenants.models import Membership, Tenant
from tests.asgi import Answered, Caller
from tests.patience import HANG_S, eventually
from tests.people import member

pytestmark = pytest.mark.django_db(transaction=True)


class FakeLive:
    """Counts the seconds that were read, by tenant."""

    def __init__(self) -> None:
        self.reads = 0
        self.fault: Exception | None = None
        self.figures_before: list[Frame] = []
        self.looks_back = 0
        self.first_look_back: asyncio.Event | None = None
        """Once it is set, the first look back ends; others end at once."""

    async def choose(self, topics: Iterable[StreamTopic]) -> set[str]:
        return {name for topic in topics for name in topic.tenant_ids}

    async def read(self, tenant_ids: Collection[str]) -> None:
        self.reads += 1

    async def frame(self, topic: StreamTopic) -> Frame:
        if self.fault is not None:
            raise self.fault
        rows = [{"id": name, "used": self.reads, "spark": []} for name in sorted(topic.tenant_ids)]
        figures = {"calls_per_min": {"value": self.reads}, "p95_ms": {"value": None}}
        data = {"v": 2, "at_ms": self.reads, "kind": "full", "page": topic.page, "summary": {}}
        return {**data, "figures": figures, "rows": rows, "feed": []}

    async def before(self, topic: StreamTopic) -> list[Frame]:
        self.looks_back += 1
        if self.looks_back == 1 and self.first_look_back is not None:
            await self.first_look_back.wait()
        return self.figures_before

    def forget(self, watched: Collection[StreamTopic]) -> None:
        pass

    async def close(self) -> None:
        pass


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Worker:
    """One worker's broadcast, whose seconds pass when the test says so."""

    def __init__(self, redis_url: str) -> None:
        self.live = FakeLive()
        self.clock = Clock()
        seats = Seats(redis.asyncio.Redis.from_url(redis_url))
        self.database_fault: Exception | None = None
        fake: Any = self.live
        self.broadcast = Broadcast(fake, seats=seats, look=self._look, clock=self.clock)

    def _look(self, pages: Collection[Asked]) -> dict[Asked, Sight | None]:
        if self.database_fault is not None:
            raise self.database_fault
        return sights(pages)

    async def second(self, *, after_s: float = 1.0) -> None:
        self.clock.now += after_s
        await self.broadcast.tick()

    async def until_rights_are_looked_at(self, page: Page) -> None:
        """Half a minute in which the page acknowledges."""
        await self.second(after_s=CHECK_S / 2)
        await page.says(seen=(await page.frame())["seq"])
        assert await page.is_quiet()
        await self.second(after_s=CHECK_S / 2)

    async def almost_unchecked_for_too_long(self, page: Page) -> None:
        """Half minutes in which nobody can look at a right; with one more the page is closed."""
        for _ in range(int(UNCHECKED_S / CHECK_S) - 1):
            await self.until_rights_are_looked_at(page)
            await page.says(seen=(await page.frame())["seq"])
            assert await page.is_quiet()


@pytest.fixture
async def worker(redis_url: str) -> AsyncIterator[Worker]:
    worker = Worker(redis_url)
    yield worker
    await worker.broadcast.close()


@pytest.fixture
async def another_worker(redis_url: str) -> AsyncIterator[Worker]:
    worker = Worker(redis_url)
    yield worker
    await worker.broadcast.close()


class Page:
    """One open page. (Channels' own communicator cannot be imported without its server, which we do not use.)"""

    def __init__(
        self,
        worker: Worker,
        session_key: str,
        *,
        query: str = "",
        origin: str = "http://testserver",
        app: Any = websocket,
    ) -> None:
        cookie = f"{settings.SESSION_COOKIE_NAME}={session_key}"
        named = {"origin": origin, "host": "testserver", "cookie": cookie}
        scope = {
            "type": "websocket",
            "path": "/ws/dashboard/",
            "query_string": query.encode(),
            "headers": [(name.encode(), value.encode()) for name, value in named.items()],
            "state": {"broadcast": worker.broadcast},
        }
        self._communicator: Any = ApplicationCommunicator(app, scope)  # type: ignore[no-untyped-call]

    async def connect(self) -> bool:
        await self._communicator.send_input({"type": "websocket.connect"})
        return bool((await self._communicator.receive_output(5))["type"] == "websocket.accept")

    async def opened(self) -> Any:
        """The first frame."""
        assert await self.connect()
        return await self.frame()

    async def frame(self) -> Any:
        return json.loads((await self._communicator.receive_output(5))["text"])

    async def says(self, **message: Any) -> None:
        """Returns when it was heard: that takes a few turns of the event loop, however slow the machine."""
        await self._communicator.send_input({"type": "websocket.receive", "text": json.dumps(message)})
        for _ in range(20):
            await asyncio.sleep(0)

    async def closed_with(self) -> int:
        return int((await self._communicator.receive_output(5))["code"])

    async def ended_with(self) -> int:
        """The code that ends the stream, after the frames that were on their way."""
        message = await self._communicator.receive_output(5)
        while message["type"] != "websocket.close":
            message = await self._communicator.receive_output(5)
        return int(message["code"])

    async def is_quiet(self) -> bool:
        return bool(await self._communicator.receive_nothing())

    async def taken(self) -> list[Any]:
        """The frames received so far."""
        messages = []
        while not await self.is_quiet():
            messages.append(await self._communicator.receive_output(5))
        return messages

    async def leave(self) -> None:
        await self._communicator.send_input({"type": "websocket.disconnect", "code": 1000})
        await self._communicator.wait(HANG_S)


def session_of_now(user: User) -> str:
    client = Client()
    client.force_login(user)
    return str(client.cookies[settings.SESSION_COOKIE_NAME].value)


session_of = sync_to_async(session_of_now)


async def stranger() -> User:
    return await sync_to_async(User.objects.create_user)("stranger", password="a-long-test-password")


def rows(*names: str, used: int = 1) -> list[Frame]:
    return [{"id": name, "used": used, "spark": []} for name in names]


async def test_a_person_gets_the_whole_and_then_what_changes(worker: Worker, admin_user: User, acme: Tenant) -> None:
    page = Page(worker, await session_of(admin_user))
    first = await page.opened()
    assert (first["kind"], first["page"], first["rows"]) == ("full", "overview", rows("acme"))
    await worker.second()
    second = await page.frame()
    assert (second["kind"], second["seq"]) == ("delta", first["seq"] + 1)
    assert second["rows"] == [{"id": "acme", "used": 2}]
    await page.leave()


async def test_a_tenants_page_gets_that_tenant(worker: Worker, admin_user: User, acme: Tenant, globex: Tenant) -> None:
    page = Page(worker, await session_of(admin_user), query="tenant=acme")
    frame = await page.opened()
    assert (frame["page"], frame["rows"]) == ("tenant", rows("acme"))
    await page.leave()


async def test_a_visitor_is_closed_with_no_right(worker: Worker, acme: Tenant) -> None:
    page = Page(worker, "no-such-session")
    assert await page.connect()
    assert await page.closed_with() == streams.NO_RIGHT


async def test_a_stranger_is_closed_out_of_a_tenant(worker: Worker, acme: Tenant) -> None:
    page = Page(worker, await session_of(await stranger()), query="tenant=acme")
    assert await page.connect()
    assert await page.closed_with() == streams.NO_RIGHT


async def test_an_open_page_ends_when_the_right_is_taken_away(worker: Worker, admin_user: User, acme: Tenant) -> None:
    page = Page(worker, await session_of(admin_user), query="tenant=acme")
    await page.opened()
    await User.objects.filter(pk=admin_user.pk).aupdate(is_active=False)
    await worker.until_rights_are_looked_at(page)
    assert await page.ended_with() == streams.NO_RIGHT


async def test_a_person_who_signs_out_elsewhere_loses_the_page_at_once(
    worker: Worker, admin_user: User, acme: Tenant
) -> None:
    page = Page(worker, await session_of(admin_user))
    await page.opened()
    worker.broadcast.open()
    await User.objects.filter(pk=admin_user.pk).aupdate(is_active=False)
    await sync_to_async(rights_changed)(admin_user.pk)
    assert await page.ended_with() == streams.NO_RIGHT
    assert worker.clock() < CHECK_S


async def test_a_page_goes_on_for_a_while_when_nobody_can_look_at_its_right(
    worker: Worker, admin_user: User, acme: Tenant
) -> None:
    page = Page(worker, await session_of(admin_user))
    await page.opened()
    worker.database_fault = OperationalError("gone")
    await worker.almost_unchecked_for_too_long(page)
    await User.objects.filter(pk=admin_user.pk).aupdate(is_active=False)
    worker.database_fault = None
    await worker.second()
    assert await page.ended_with() == streams.NO_RIGHT


async def test_a_page_whose_right_nobody_could_look_at_for_long_is_closed(
    worker: Worker, admin_user: User, acme: Tenant
) -> None:
    page = Page(worker, await session_of(admin_user))
    await page.opened()
    worker.database_fault = OperationalError("gone")
    await worker.almost_unchecked_for_too_long(page)
    taken = []
    for _ in range(3):
        await worker.second(after_s=CHECK_S / 2)
        await page.says(seen=worker.live.reads)
        taken += await page.taken()
    assert taken[-1] == {"type": "websocket.close", "code": streams.FAULT}


async def test_an_open_page_goes_on_with_what_its_person_may_see_now(
    worker: Worker, admin_user: User, acme: Tenant, globex: Tenant
) -> None:
    page = Page(worker, await session_of(admin_user))
    assert (await page.opened())["rows"] == rows("acme", "globex")
    await Tenant.objects.filter(pk=globex.pk).adelete()
    await worker.until_rights_are_looked_at(page)
    changed = await page.frame()
    while changed["kind"] == "delta":
        changed = await page.frame()
    assert [row["id"] for row in changed["rows"]] == ["acme"]
    await page.leave()


async def test_a_person_of_one_tenant_gets_its_frames_and_no_others(
    worker: Worker, acme: Tenant, globex: Tenant
) -> None:
    session_key = await session_of(await sync_to_async(member)("ana", acme))
    page = Page(worker, session_key)
    assert (await page.opened())["rows"] == rows("acme")
    await page.leave()
    theirs = Page(worker, session_key, query="tenant=globex")
    assert await theirs.connect()
    assert await theirs.closed_with() == streams.NO_RIGHT


async def test_an_open_page_loses_a_tenant_with_its_membership(worker: Worker, acme: Tenant, globex: Tenant) -> None:
    ana = await sync_to_async(member)("ana", acme, globex)
    page = Page(worker, await session_of(ana), query="tenant=globex")
    await page.opened()
    await Membership.objects.filter(user=ana, tenant=globex).adelete()
    await worker.until_rights_are_looked_at(page)
    assert await page.ended_with() == streams.NO_RIGHT


async def test_the_overview_goes_on_without_a_tenant_whose_membership_ended(
    worker: Worker, acme: Tenant, globex: Tenant
) -> None:
    ana = await sync_to_async(member)("ana", acme, globex)
    page = Page(worker, await session_of(ana))
    assert (await page.opened())["rows"] == rows("acme", "globex")
    await Membership.objects.filter(user=ana, tenant=globex).adelete()
    await worker.until_rights_are_looked_at(page)
    changed = await page.frame()
    while changed["kind"] == "delta":
        changed = await page.frame()
    assert [row["id"] for row in changed["rows"]] == ["acme"]
    await page.leave()


async def test_another_sites_page_is_refused(worker: Worker, admin_user: User, acme: Tenant) -> None:
    page = Page(worker, await session_of(admin_user), origin="https://elsewhere.test")
    assert not await page.connect()


async def test_many_pages_are_read_for_once_a_second(worker: Worker, admin_user: User, acme: Tenant) -> None:
    session_key = await session_of(admin_user)
    pages = [Page(worker, session_key) for _ in range(10)]
    for page in pages:
        await page.opened()
    assert worker.live.reads == 1
    await worker.second()
    assert worker.live.reads == 2
    frames = [await page.frame() for page in pages]
    assert frames == [frames[0]] * 10
    for page in pages:
        await page.leave()


async def test_a_page_that_is_loaded_again_finds_the_figures_of_before(
    worker: Worker, admin_user: User, acme: Tenant
) -> None:
    session_key = await session_of(admin_user)
    page = Page(worker, session_key)
    assert (await page.opened())["series"]["calls_per_min"] == []
    for _ in range(3):
        await worker.second()
    await page.leave()
    again = Page(worker, session_key)
    assert (await again.opened())["series"]["calls_per_min"] == [1, 2, 3]
    await again.leave()


async def test_a_tick_that_overtakes_a_page_s_first_frame_keeps_the_figures_of_before(worker: Worker) -> None:
    worker.live.figures_before = [{"calls_per_min": {"value": 7}}]
    worker.live.first_look_back = asyncio.Event()
    opening = asyncio.create_task(worker.broadcast.newest(topics.tenant("acme")))

    async def looks_back() -> bool:
        return worker.live.looks_back > 0

    await eventually(looks_back, what="the page to look back")
    await worker.second()
    worker.live.first_look_back.set()
    assert json.loads(await opening)["series"]["calls_per_min"] == [7]


async def test_a_tenant_that_nobody_watches_is_not_read(worker: Worker, admin_user: User, acme: Tenant) -> None:
    page = Page(worker, await session_of(admin_user))
    await page.opened()
    await page.leave()
    await worker.second(after_s=60)
    assert worker.live.reads == 1


async def test_a_page_that_missed_something_gets_the_whole_once(worker: Worker, admin_user: User, acme: Tenant) -> None:
    page = Page(worker, await session_of(admin_user))
    await page.opened()
    await worker.second()
    assert (await page.frame())["kind"] == "delta"
    await page.says(want="full")
    whole = await page.frame()
    assert (whole["kind"], whole["seq"], whole["rows"]) == ("full", 2, rows("acme", used=2))
    await page.says(want="full")
    assert await page.is_quiet()
    await worker.second()
    assert (await page.frame())["kind"] == "full"
    await worker.second()
    assert (await page.frame())["kind"] == "delta"
    await page.leave()


async def test_a_page_that_lags_gets_the_newest_and_no_queue(worker: Worker, admin_user: User, acme: Tenant) -> None:
    page = Page(worker, await session_of(admin_user))
    await page.opened()
    for _ in range(streams.MAX_IN_FLIGHT - 1):
        await worker.second()
        last = await page.frame()
    for _ in range(5):
        await worker.second()
    assert await page.is_quiet()
    await page.says(seen=last["seq"])
    newest = await page.frame()
    assert (newest["kind"], newest["seq"]) == ("full", last["seq"] + 5)
    assert await page.is_quiet()
    await page.leave()


async def test_a_page_that_says_nothing_any_more_is_closed(worker: Worker, admin_user: User, acme: Tenant) -> None:
    page = Page(worker, await session_of(admin_user))
    await page.opened()
    await worker.second(after_s=SILENT_S + 1)
    assert await page.closed_with() == streams.SILENT


async def test_a_page_that_takes_nothing_is_closed(worker: Worker, admin_user: User, acme: Tenant) -> None:
    class Stuck(consumers.DashboardConsumer):
        """Its viewer's line is cut: no frame arrives."""

        send_timeout_s = 0.0

        async def send(
            self, text_data: str | None = None, bytes_data: bytes | None = None, close: bool = False
        ) -> None:
            await asyncio.Event().wait()

    page = Page(worker, await session_of(admin_user), app=CookieMiddleware(Stuck.as_asgi()))
    assert await page.connect()
    assert await page.closed_with() == streams.SILENT


@pytest.mark.parametrize("nonsense", ["", "{", "[]", '{"seen": "x"}', '{"want": []}', "1" * 100_000])
async def test_nonsense_from_a_page_changes_nothing(
    worker: Worker, admin_user: User, acme: Tenant, nonsense: str
) -> None:
    page = Page(worker, await session_of(admin_user))
    await page.opened()
    await page._communicator.send_input({"type": "websocket.receive", "text": nonsense})
    await page._communicator.send_input({"type": "websocket.receive", "bytes": b"\x00"})
    await worker.second()
    assert (await page.frame())["kind"] == "delta"
    await page.leave()


async def test_a_fault_closes_the_page_so_that_it_comes_back(
    worker: Worker, admin_user: User, acme: Tenant, caplog: pytest.LogCaptureFixture
) -> None:
    session_key = await session_of(admin_user)
    page = Page(worker, session_key)
    await page.opened()
    worker.live.fault = RuntimeError("a bug")
    await worker.second()
    assert await page.closed_with() == streams.FAULT
    assert "a bug" in caplog.text
    worker.live.fault = None
    back = Page(worker, session_key)
    assert (await back.opened())["kind"] == "full"
    await back.leave()


async def test_a_fault_while_a_page_opens_closes_it_too(worker: Worker, admin_user: User, acme: Tenant) -> None:
    worker.live.fault = RuntimeError("a bug")
    page = Page(worker, await session_of(admin_user))
    assert await page.connect()
    assert await page.closed_with() == streams.FAULT


async def test_a_person_has_so_many_pages_in_all_workers_together(
    worker: Worker, another_worker: Worker, admin_user: User, acme: Tenant
) -> None:
    sessions = [await session_of(admin_user) for _ in range(2)]
    pages = [Page(where, key) for where, key in zip((worker, another_worker), sessions, strict=True) for _ in range(10)]
    assert len(pages) == MAX_PER_PERSON
    for page in pages:
        await page.opened()
    one_more = Page(worker, sessions[1])
    assert await one_more.connect()
    assert await one_more.closed_with() == streams.TOO_MANY
    await pages[-1].leave()
    in_its_place = Page(worker, sessions[1])
    await in_its_place.opened()
    for page in (*pages[:-1], in_its_place):
        await page.leave()


async def polled(worker: Worker, path: str, session_key: str = "") -> Answered:
    app: Any = Pages()
    caller = Caller(app, {"broadcast": worker.broadcast})
    where, _, query = path.partition("?")
    headers = [("host", "testserver"), ("cookie", f"{settings.SESSION_COOKIE_NAME}={session_key}")]
    return await caller.call("GET", where, query=query, headers=headers)


async def test_a_poll_returns_the_frame_that_streams_get(worker: Worker, admin_user: User, acme: Tenant) -> None:
    session_key = await session_of(admin_user)
    page = Page(worker, session_key, query="tenant=acme")
    await page.opened()
    await worker.second()
    await page.frame()
    await page.says(want="full")
    response = await polled(worker, "/dashboard/api/tenants/acme.json", session_key)
    assert response.json == await page.frame()
    await page.leave()


async def test_polls_are_read_for_once_a_second_too(worker: Worker, admin_user: User, acme: Tenant) -> None:
    session_key = await session_of(admin_user)
    for _ in range(3):
        assert (await polled(worker, "/dashboard/api/overview.json", session_key)).json["rows"] == rows("acme")
    assert worker.live.reads == 1


async def test_a_visitor_may_not_poll(worker: Worker) -> None:
    assert (await polled(worker, "/dashboard/api/overview.json")).status == 401


async def test_a_stranger_may_not_poll_a_tenant(worker: Worker, acme: Tenant) -> None:
    session_key = await session_of(await stranger())
    assert (await polled(worker, "/dashboard/api/tenants/acme.json", session_key)).status == 403


async def test_a_person_of_one_tenant_polls_no_other(worker: Worker, acme: Tenant, globex: Tenant) -> None:
    session_key = await session_of(await sync_to_async(member)("ana", acme))
    own = "/dashboard/api/tenants/acme.json"
    assert (await polled(worker, own, session_key)).status == 200
    overview = (await polled(worker, "/dashboard/api/overview.json", session_key)).json
    assert [row["id"] for row in overview["rows"]] == ["acme"]
    for tenant_id in ("globex", "nobody"):
        for query in ("", "?range=1h"):
            response = await polled(worker, f"/dashboard/api/tenants/{tenant_id}.json{query}", session_key)
            assert response.status == 403
    await Membership.objects.all().adelete()
    assert (await polled(worker, own, session_key)).status == 403


async def test_a_chart_of_a_time_that_cannot_be_shown_is_refused_by_its_parameter(
    worker: Worker, admin_user: User, acme: Tenant
) -> None:
    session_key = await session_of(admin_user)
    for query, name in (("range=2h", "range"), ("from=now", "from"), ("range=1h&beside=tomorrow", "beside")):
        response = await polled(worker, f"/dashboard/api/tenants/acme.json?{query}", session_key)
        assert (response.status, response.json["detail"].partition(":")[0]) == (400, name)
