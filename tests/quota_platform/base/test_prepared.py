"""Queries composed once answer as the query would that is composed for each list of names."""

from __future__ import annotations

import pytest
from django.db import connection as database
from django.test.utils import CaptureQueriesContext

from quota_platform.base.prepared import PreparedQuery
from tenants.models import Action, Connection, Tenant

pytestmark = pytest.mark.django_db


@pytest.fixture
def tenants(connection: Connection) -> list[Tenant]:
    return Tenant.objects.bulk_create(
        Tenant(tenant_id=f"t{number}", name="T", connection=connection) for number in range(5)
    )


def test_a_prepared_query_finds_the_rows_of_each_list_of_names_it_is_given(tenants: list[Tenant]) -> None:
    prepared = PreparedQuery(lambda names: Tenant.objects.filter(tenant_id__in=names).values_list("tenant_id", "pk"))
    for wanted in (tenants[:1], tenants[1:4], tenants[2:3], tenants):
        rows = prepared.rows([tenant.tenant_id for tenant in wanted])
        assert sorted(map(tuple, rows)) == [(tenant.tenant_id, tenant.pk) for tenant in wanted]
    assert list(prepared.rows(["nobody"])) == []


def test_a_prepared_query_of_no_names_asks_nothing(tenants: list[Tenant]) -> None:
    prepared = PreparedQuery(lambda names: Tenant.objects.filter(tenant_id__in=names).values_list("pk"))
    with CaptureQueriesContext(database) as queries:
        assert list(prepared.rows([])) == []
    assert not queries


def test_a_prepared_union_reads_values_as_their_fields_do_in_one_statement(tenants: list[Tenant]) -> None:
    Action.objects.create(tenant=tenants[0], action_id="a", query_template={"q": "{x}"}, idempotent=True)
    Action.objects.create(tenant=tenants[3], action_id="b", param_map=["x"])
    columns = ("action_id", "query_template", "param_map", "idempotent")
    prepared = PreparedQuery(
        lambda ids: (
            Action.objects.filter(tenant__in=ids, idempotent=True)
            .order_by()
            .values_list(*columns)
            .union(Action.objects.filter(tenant__in=ids, idempotent=False).order_by().values_list(*columns), all=True)
        )
    )
    with CaptureQueriesContext(database) as queries:
        rows = prepared.rows([tenant.pk for tenant in tenants])
    assert sorted(map(list, rows)) == [["a", {"q": "{x}"}, [], True], ["b", {}, ["x"], False]]
    assert len(queries) == 1


def test_a_query_with_a_parameter_that_is_no_name_is_refused(tenants: list[Tenant]) -> None:
    prepared = PreparedQuery(lambda names: Tenant.objects.filter(tenant_id__in=names, name="T").values_list("pk"))
    with pytest.raises(ValueError, match="T"):
        prepared.rows(["t0"])
