"""Rows as frozen values, of which workers hold one object for many tenants."""

from __future__ import annotations

from dataclasses import replace

from tenants import directory
from tenants.directory import same_connection
from tenants.models import Connection
from tenants.spec_rows import connection_spec


def test_loads_of_one_connection_share_an_object_until_it_is_edited() -> None:
    row = Connection(pk=7, uid="7" * 32, name="unit", base_url="https://example.com")
    first = same_connection(connection_spec(row))
    assert same_connection(connection_spec(row)) is first
    edited = replace(first, enabled=not first.enabled)
    assert same_connection(edited) is edited is same_connection(replace(edited))


def test_connections_that_are_shared_are_bounded_in_number() -> None:
    spec = connection_spec(Connection(pk=7, uid="7" * 32, name="unit", base_url="https://example.com"))
    for number in range(directory._MAX_CONNECTIONS + 9):
        same_connection(replace(spec, id=number))
    assert len(directory._connections) <= directory._MAX_CONNECTIONS
