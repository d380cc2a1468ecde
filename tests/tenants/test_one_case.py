"""IDs that differ only in capitals are refused with the name of the other: in forms, in the API and in a race."""

from __future__ import annotations

import threading
from io import StringIO

import pytest
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.db import IntegrityError, connections, transaction
from django.db import connection as database
from django.test import Client

from tenants.checks import same_but_for_capitals
from tenants.models import Action, Connection, Tenant
from tests.api_client import editor, errors, person
from tests.filled_form import filled_form
from tests.patience import HANG_S

pytestmark = pytest.mark.django_db
REFUSED = "This differs from acme in capitals only; choose another ID."


def test_a_tenant_that_differs_in_capitals_only_is_refused_with_the_others_name(acme: Tenant) -> None:
    api = editor()
    made = api.post("/api/tenants/", {"tenant_id": "ACME", "name": "Acme", "connection": "sandbox"})
    assert errors(made) == {"tenant_id": [REFUSED]}
    other = Tenant.objects.create(tenant_id="other", name="Other", connection=acme.connection)
    assert errors(api.patch("/api/tenants/other/", {"tenant_id": "Acme"})) == {"tenant_id": [REFUSED]}
    other.refresh_from_db()
    assert other.tenant_id == "other"


def test_an_action_is_refused_within_its_tenant_only(acme: Tenant, globex: Tenant) -> None:
    api = editor()
    made = api.post("/api/actions/", {"tenant": "acme", "action_id": "LOOKUPORDER"})
    assert errors(made) == {"action_id": ["This differs from lookupOrder in capitals only; choose another ID."]}
    assert api.post("/api/actions/", {"tenant": "globex", "action_id": "LOOKUPORDER"}).status_code == 201


def test_the_admin_says_it_at_the_field(admin_client: Client, acme: Tenant) -> None:
    url = "/admin/tenants/tenant/add/"
    typed = {"tenant_id": "aCME", "name": "x", "connection": acme.connection.pk}
    response = admin_client.post(url, filled_form(admin_client.get(url).content) | typed)
    assert response.context["adminform"].form.errors["tenant_id"] == [REFUSED]


def test_capitals_of_ones_own_id_may_change(acme: Tenant) -> None:
    assert editor().patch("/api/tenants/acme/", {"tenant_id": "Acme"}).status_code == 200
    action = Action.objects.get()
    action.action_id = "LookupOrder"
    action.full_clean()
    action.save()


def test_a_person_who_does_not_see_the_other_tenant_learns_nothing_of_it(acme: Tenant, globex: Tenant) -> None:
    api = person("tenants.view_tenant", "tenants.add_tenant", "tenants.change_tenant", tenants=[globex])
    made = api.post("/api/tenants/", {"tenant_id": "ACME", "name": "Acme", "connection": "sandbox"})
    renamed = api.patch("/api/tenants/globex/", {"tenant_id": "ACME"})
    assert made.status_code == 403 and renamed.status_code == 400
    assert b"acme" not in made.content + renamed.content


def test_an_unchecked_save_is_refused_too(acme: Tenant) -> None:
    with pytest.raises(IntegrityError, match="acme"), transaction.atomic():
        Tenant(tenant_id="Acme", name="Acme", connection=acme.connection).save()
    with pytest.raises(IntegrityError, match="lookupOrder"), transaction.atomic():
        Action(tenant=acme, action_id="lookuporder").save()


@pytest.mark.django_db(transaction=True)
def test_of_two_at_the_same_moment_one_is_made(connection: Connection) -> None:
    both_checked = threading.Barrier(2)
    seen: list[str] = []

    def make(tenant_id: str) -> None:
        row = Tenant(tenant_id=tenant_id, name="Acme", connection=connection)
        try:
            row.full_clean()
            both_checked.wait(HANG_S)
            row.save()
            seen.append("made")
        except IntegrityError:
            seen.append("refused")
        finally:
            connections.close_all()

    threads = [threading.Thread(target=make, args=[name]) for name in ("acme", "ACME")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(HANG_S)
    assert sorted(seen) == ["made", "refused"]
    assert Tenant.objects.count() == 1


def test_pairs_from_before_stay_and_can_be_edited_and_a_check_names_them(acme: Tenant) -> None:
    Tenant.objects.create(tenant_id="elder", name="Elder", connection=acme.connection)
    Tenant.objects.filter(tenant_id="elder").update(tenant_id="ACME")
    Action.objects.bulk_create([Action(tenant=acme, action_id="LOOKUPORDER")])
    for row in (*Tenant.objects.all(), *Action.objects.all()):
        row.full_clean()
        row.save()
    third = Tenant(tenant_id="Acme", name="Third", connection=acme.connection)
    with pytest.raises(ValidationError):
        third.full_clean()
    data = StringIO()
    call_command("check", databases=["default"], stdout=data, stderr=data)
    assert "tenant IDs that differ in capitals only: acme." in data.getvalue()
    assert "action IDs that differ in capitals only: lookuporder." in data.getvalue()
    assert "W001" not in _checked_without_database()


def test_a_database_without_tables_is_no_obstacle_to_the_migration_that_makes_them(db: None) -> None:
    table = database.ops.quote_name(Tenant._meta.db_table)
    with database.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {table} RENAME TO elsewhere")
    assert same_but_for_capitals(databases=["default"]) == []


def _checked_without_database() -> str:
    data = StringIO()
    call_command("check", stdout=data, stderr=data)
    return data.getvalue()


def test_the_other_is_found_by_an_index(acme: Tenant) -> None:
    names = database.introspection.get_constraints(database.cursor(), Tenant._meta.db_table)
    assert names["tenant_id_whatever_its_case"]["index"]
