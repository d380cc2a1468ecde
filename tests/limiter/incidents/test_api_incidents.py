"""``/api/incidents``: to read and not to write."""

from __future__ import annotations

import pytest

from tests.api_client import editor, person
from tests.limiter.incidents.given import incident, minutes


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", ["globex", "acme"]),
        ("open=true", ["globex"]),
        ("tenant=acme&limit=minute", ["acme"]),
        ("since=2030-05-02T12:05:00Z", ["globex", "acme"]),
        ("since=2030-05-02T12:10:01Z", ["globex"]),
        ("until=2030-05-02T12:00:01Z", ["acme"]),
    ],
)
def test_lists_of_incidents_are_filtered_newest_first(db: None, query: str, found: list[str]) -> None:
    incident(last_at=minutes(10), ended_at=minutes(25))
    incident(tenant_id="globex", at=minutes(20), last_at=minutes(20))
    assert [each["tenant_id"] for each in editor().get(f"/api/incidents/?{query}").json()["results"]] == found


def test_an_incident_of_a_limit_that_no_policy_has_names_none(db: None) -> None:
    row = incident(limit_name="(upstream)", policy_name="", policy_version=0)
    found = editor().get(f"/api/incidents/{row.pk}/").json()
    assert (found["policy_name"], found["policy_version"]) == (None, None)


def test_incidents_need_the_right_to_view_them_and_are_read_only(db: None) -> None:
    row = incident(by_key={"ivr": 1})
    assert person("limiter.view_throttleevent").get("/api/incidents/").status_code == 403
    api = editor("ben")
    assert api.get(f"/api/incidents/{row.pk}/").json()["by_key"] == {"ivr": 1}
    assert api.delete(f"/api/incidents/{row.pk}/").status_code == 405
    assert api.post("/api/incidents/", {}).status_code == 405
