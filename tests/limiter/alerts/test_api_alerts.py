"""``/api/alerts``: to read and not to write."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from tests.api_client import editor, errors, person
from tests.limiter.alerts.given import alert


def test_alerts_are_read_newest_first_and_say_whether_they_last(db: None) -> None:
    now = timezone.now()
    alert(at=now - timedelta(hours=1), ended_at=now, ending="fell", full_in_s=12.5)
    lasts = alert(tenant_id="globex", action_id="")
    api = editor()
    both = api.get("/api/alerts/").json()["results"]
    assert [(each["tenant_id"], each["ending"], each["full_in_s"]) for each in both] == [
        ("globex", "", None),
        ("acme", "fell", 12.5),
    ]
    assert both[0]["ended_at"] is None
    assert api.get(f"/api/alerts/{lasts.pk}/").json() == both[0]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("open=true", ["globex"]),
        ("open=false", ["acme"]),
        ("tenant=acme", ["acme"]),
        ("limit=minute&policy=Base", ["globex", "acme"]),
        ("action_id=lookupOrder", ["acme"]),
        ("policy=Gold", []),
    ],
)
def test_lists_of_alerts_are_filtered(db: None, query: str, found: list[str]) -> None:
    now = timezone.now()
    alert(at=now - timedelta(hours=1), ended_at=now, ending="fell")
    alert(tenant_id="globex", action_id="")
    assert [each["tenant_id"] for each in editor().get(f"/api/alerts/?{query}").json()["results"]] == found


def test_an_unknown_parameter_is_an_error(db: None) -> None:
    assert "opne" in errors(editor().get("/api/alerts/?opne=true"))


def test_alerts_need_the_right_to_view_them_and_are_read_only(db: None) -> None:
    row = alert()
    assert person("limiter.view_throttleevent").get("/api/alerts/").status_code == 403
    api = editor("ben")
    assert api.delete(f"/api/alerts/{row.pk}/").status_code == 405
    assert api.post("/api/alerts/", {}).status_code == 405
