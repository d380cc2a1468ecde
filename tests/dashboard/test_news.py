"""A change that removes a right is published to every worker at once; others, and uncommitted ones, are not."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import Group, Permission, User
from django.db import transaction
from django.test import Client

from dashboard import news
from dashboard.news import EVERYONE
from tenants.models import Membership, Tenant
from tests.patience import HANG_S

pytestmark = pytest.mark.django_db(transaction=True)


class Ears:
    """One worker that listens."""

    def __init__(self) -> None:
        self._heard: asyncio.Queue[int] = asyncio.Queue()

    def hear(self, person: int) -> None:
        self._heard.put_nowait(person)

    async def next(self) -> int:
        async with asyncio.timeout(HANG_S):
            return await self._heard.get()


@pytest.fixture
async def ears(redis_url: str, admin_user: User) -> AsyncIterator[Ears]:
    ears = Ears()
    listening = asyncio.ensure_future(news.listen(ears.hear))
    assert await ears.next() == EVERYONE
    yield ears
    listening.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await listening
    await news.close()


def switch_off(user: User) -> None:
    user.is_active = False
    user.save()


def sign_out(user: User) -> None:
    client = Client()
    client.force_login(user)
    client.post("/accounts/sign-out/")


def take_a_right(user: User) -> None:
    user.user_permissions.add(Permission.objects.get(codename="view_tenant"))


@pytest.mark.parametrize("change", [switch_off, sign_out, take_a_right, lambda user: user.groups.clear()])
async def test_a_change_of_a_person_is_published(ears: Ears, admin_user: User, change: Callable[[User], None]) -> None:
    await sync_to_async(change)(admin_user)
    assert await ears.next() == admin_user.pk


@pytest.mark.parametrize("how", ["added", "deleted", "bulk"])
async def test_a_membership_that_begins_or_ends_concerns_its_person(
    ears: Ears, admin_user: User, acme: Tenant, how: str
) -> None:
    line = await sync_to_async(Membership.objects.create)(user=admin_user, tenant=acme)
    assert await ears.next() == admin_user.pk
    if how == "deleted":
        await line.adelete()
        assert await ears.next() == admin_user.pk
    if how == "bulk":
        await Membership.objects.all().adelete()
        assert await ears.next() == admin_user.pk


async def test_a_changed_group_concerns_everyone(ears: Ears) -> None:
    def change() -> None:
        Group.objects.create(name="Readers").permissions.add(Permission.objects.get(codename="view_tenant"))

    await sync_to_async(change)()
    assert await ears.next() == EVERYONE


async def test_a_change_that_was_rolled_back_notifies_nobody(ears: Ears, admin_user: User) -> None:
    def change() -> None:
        with contextlib.suppress(ZeroDivisionError), transaction.atomic():
            switch_off(admin_user)
            raise ZeroDivisionError
        take_a_right(User.objects.create_user("ben"))

    await sync_to_async(change)()
    assert await ears.next() != admin_user.pk


async def test_signing_in_is_no_news(ears: Ears, admin_user: User) -> None:
    await sync_to_async(Client().force_login)(admin_user)
    ben = await sync_to_async(User.objects.create_user)("ben")
    assert await ears.next() == ben.pk
