"""The websocket and the polled JSON: who gets frames, of whose tenants, and for how long."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from asgiref.testing import ApplicationCommunicator
from channels.sessions import CookieMiddleware
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client

from dashboard import consumers
from dashboard.routing import websocket
from tenants.models import Tenant

pytestmark = pytest.mark.django_db(transaction=True)


class FakeLive:
    """Says whose frame was asked for."""

    async def overview(self, tenant_ids: Collection[str]) -> str:
        return json.dumps({"tenants": sorted(tenant_ids)})

    async def tenant(self, tenant_id: str) -> str:
        return json.dumps({"tenant": tenant_id})


class Impatient(consumers.DashboardConsumer):
    """Checks the right before every frame, and makes them without a pause."""

    every_s = 0.0
    check_again_s = 0.0


class Viewer:
    """One websocket. (Channels' own communicator cannot be imported without its server, which we do not use.)"""

    def __init__(
        self, session_key: str, *, query: str = "", origin: str = "http://testserver", app: Any = websocket
    ) -> None:
        cookie = f"{settings.SESSION_COOKIE_NAME}={session_key}"
        named = {"origin": origin, "host": "testserver", "cookie": cookie}
        scope = {
            "type": "websocket",
            "path": "/ws/dashboard/",
            "query_string": query.encode(),
            "headers": [(name.encode(), value.encode()) for name, value in named.items()],
            "state": {"live": FakeLive()},
        }
        self._communicator: Any = ApplicationCommunicator(app, scope)  # type: ignore[no-untyped-call]

    async def connect(self) -> bool:
        await self._communicator.send_input({"type": "websocket.connect"})
        return bool((await self._communicator.receive_output(5))["type"] == "websocket.accept")

    async def frame(self) -> Any:
        return json.loads((await self._communicator.receive_output(5))["text"])

    async def closed_with(self) -> int:
        return int((await self._communicator.receive_output(5))["code"])

    async def ended_with(self) -> int:
        """The code that ends the stream, after the frames that were on their way (at most a hundred)."""
        for _ in range(100):
            message = await self._communicator.receive_output(5)
            if message["type"] == "websocket.close":
                return int(message["code"])
        raise AssertionError("the stream did not end")

    async def leave(self) -> None:
        await self._communicator.send_input({"type": "websocket.disconnect", "code": 1000})
        await self._communicator.wait(5)


async def session_of(user: User) -> str:
    client = Client()
    await sync_to_async(client.force_login)(user)
    return str(client.cookies[settings.SESSION_COOKIE_NAME].value)


async def test_a_person_gets_the_frames_of_their_tenants(admin_user: User, acme: Tenant) -> None:
    viewer = Viewer(await session_of(admin_user))
    assert await viewer.connect()
    assert await viewer.frame() == {"tenants": ["acme"]}
    await viewer.leave()


async def test_a_tenants_page_gets_that_tenant(admin_user: User, acme: Tenant) -> None:
    viewer = Viewer(await session_of(admin_user), query="tenant=acme")
    await viewer.connect()
    assert await viewer.frame() == {"tenant": "acme"}
    await viewer.leave()


async def test_a_visitor_is_closed_with_no_right(acme: Tenant) -> None:
    viewer = Viewer("no-such-session")
    await viewer.connect()
    assert await viewer.closed_with() == consumers.NO_RIGHT


async def test_a_stranger_is_closed_out_of_a_tenant(acme: Tenant) -> None:
    stranger = await sync_to_async(User.objects.create_user)("stranger", password="a-long-test-password")
    viewer = Viewer(await session_of(stranger), query="tenant=acme")
    await viewer.connect()
    assert await viewer.closed_with() == consumers.NO_RIGHT


async def test_an_open_stream_ends_when_the_right_is_taken_away(admin_user: User, acme: Tenant) -> None:
    viewer = Viewer(await session_of(admin_user), query="tenant=acme", app=CookieMiddleware(Impatient.as_asgi()))
    await viewer.connect()
    assert await viewer.frame() == {"tenant": "acme"}
    await User.objects.filter(pk=admin_user.pk).aupdate(is_active=False)
    assert await viewer.ended_with() == consumers.NO_RIGHT


async def test_another_sites_page_is_refused(admin_user: User, acme: Tenant) -> None:
    viewer = Viewer(await session_of(admin_user), origin="https://elsewhere.test")
    assert not await viewer.connect()


async def test_one_person_may_not_open_sockets_without_end(admin_user: User, acme: Tenant) -> None:
    session_key = await session_of(admin_user)
    viewers = [Viewer(session_key) for _ in range(consumers.MOST_PER_PERSON + 1)]
    for each in viewers[:-1]:
        await each.connect()
        await each.frame()
    await viewers[-1].connect()
    assert await viewers[-1].closed_with() == consumers.TOO_MANY
    for each in viewers[:-1]:
        await each.leave()


def test_a_visitor_may_not_poll(client: Client) -> None:
    assert client.get("/dashboard/api/overview.json").status_code == 401


def test_a_stranger_may_not_poll_a_tenant(client: Client, acme: Tenant) -> None:
    client.force_login(User.objects.create_user("stranger", password="a-long-test-password"))
    assert client.get("/dashboard/api/tenants/acme.json").status_code == 403


def test_stored_history_has_gaps_and_no_zeros(client: Client, admin_user: User, acme: Tenant) -> None:
    client.force_login(admin_user)
    chart = client.get("/dashboard/api/tenants/acme.json?range=1h").json()["chart"]
    assert len(chart["times"]) == 61
    assert set(chart["columns"]["allowed"]) == {None}
