"""Tests leave no database connection of an ended thread behind."""

from __future__ import annotations

import threading

import pytest
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from tenants.models import Tenant
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
