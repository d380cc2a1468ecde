"""``/api/team-entries``: acts about rows that the person sees, by those who may."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from limiter.models import TeamEntry
from tenants.models import Tenant
from tests.api_client import errors, person
from tests.limiter.alerts.given import alert
from tests.limiter.incidents.given import incident

pytestmark = pytest.mark.django_db
ACT, LOOK = "limiter.add_teamentry", "limiter.view_teamentry"
URL = "/api/team-entries/"


def test_an_alert_is_muted_and_an_incident_noted_over_the_api(acme: Tenant) -> None:
    api = person(ACT, LOOK, "tenants.view_tenant", tenants=[acme])
    until = (timezone.now() + timedelta(hours=1)).isoformat()
    made = api.post(URL, {"alert": alert().pk, "kind": "muted", "until": until})
    assert (made.status_code, made.json()["by"], made.json()["incident"]) == (201, "ana", None)
    row = incident()
    assert api.post(URL, {"incident": row.pk, "kind": "note", "text": "Seen."}).status_code == 201
    found = api.get(f"{URL}?incident={row.pk}").json()["results"]
    assert [(each["kind"], each["text"]) for each in found] == [("note", "Seen.")]
    assert api.delete(f"{URL}{found[0]['id']}/").status_code in (403, 405)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"kind": "danced"}, "kind"),
        ({"kind": "note"}, "text"),
        ({"kind": "muted"}, "until"),
        ({"alert": 1}, "incident"),
    ],
)
def test_a_mistake_names_its_field(acme: Tenant, change: dict[str, Any], field: str) -> None:
    api = person(ACT, "tenants.view_tenant", tenants=[acme])
    assert field in errors(api.post(URL, {"incident": incident().pk, "kind": "acknowledged", **change}))


def test_nobody_acts_on_a_strangers_rows_or_without_the_right(acme: Tenant, globex: Tenant) -> None:
    theirs = {"incident": incident(tenant_id="globex"), "alert": alert(tenant_id="globex")}
    api = person(ACT, LOOK, "tenants.view_tenant", tenants=[acme])
    for name, row in theirs.items():
        for number in (row.pk, row.pk + 999):  # one that is not there
            assert errors(api.post(URL, {name: number, "kind": "acknowledged"}))[name] == [
                "There is none of this number."
            ]
    looker = person(LOOK, "tenants.view_tenant", name="leaf", tenants=[acme])
    assert looker.post(URL, {"incident": incident().pk, "kind": "acknowledged"}).status_code == 403
    TeamEntry.objects.create(tenant_id="globex", by="gil", kind="note", text="globex secret")
    assert api.get(URL).json()["results"] == []
