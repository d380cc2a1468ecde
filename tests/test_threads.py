"""Tests leave no database connection of an ended thread behind."""

from __future__ import annotations

import asyncio
import threading

import pytest
from asgiref.sync import sync_to_async
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from tenants.models import Tenant
from tests.patience import HANG_S
from tests.threads import closed_with_their_threads

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_connection_is_closed_when_its_thread_has_ended() -> None:
    opened: list[BaseDatabaseWrapper] = []

    def work() -> None:
        Tenant.objects.count()
        opened.append(connections[DEFAULT_DB_ALIAS])

    Tenant.objects.count()
    with closed_with_their_threads():
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        assert opened[0].connection is not None
    assert opened[0].connection is None
    assert connections[DEFAULT_DB_ALIAS].connection is not None


def test_the_connection_of_the_thread_that_all_async_tests_share_is_closed_at_the_end_of_each() -> None:
    def work() -> BaseDatabaseWrapper:
        Tenant.objects.count()
        return connections[DEFAULT_DB_ALIAS]

    with closed_with_their_threads():
        opened = asyncio.run(sync_to_async(work)())
        assert opened.connection is not None
    assert opened.connection is None


def test_a_connection_whose_thread_outlives_its_test_is_closed_after_a_later_one() -> None:
    opened: list[BaseDatabaseWrapper] = []
    go_on, asked = threading.Event(), threading.Event()

    def work() -> None:
        Tenant.objects.count()
        opened.append(connections[DEFAULT_DB_ALIAS])
        asked.set()
        go_on.wait(HANG_S)

    thread = threading.Thread(target=work)
    with closed_with_their_threads():
        thread.start()
        assert asked.wait(HANG_S)
    assert opened[0].connection is not None
    go_on.set()
    thread.join()
    with closed_with_their_threads():
        pass
    assert opened[0].connection is None
