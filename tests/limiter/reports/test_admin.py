"""Exports in the admin: ordered, cancelled, fetched by who asked, closed to others."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from limiter.models import Export
from limiter.reports import build
from tests.limiter.reports.given import event, export

pytestmark = pytest.mark.django_db
FORM = {
    "kind": "events",
    "format": "jsonl",
    "since_0": "2030-05-02",
    "since_1": "00:00:00",
    "until_0": "2030-05-03",
    "until_1": "00:00:00",
    "tenants": "acme, globex",
}


def client(name: str) -> Client:
    user = User.objects.create_user(name, is_staff=True)
    rights = ("add_export", "view_export", "view_throttleevent", "view_tenant")
    user.user_permissions.set(Permission.objects.filter(codename__in=rights))
    signed_in = Client()
    signed_in.force_login(user)
    return signed_in


def test_an_export_is_ordered_and_fetched_and_a_stranger_gets_nothing() -> None:
    event(1)
    ana, stranger = client("ana"), client("stranger")
    assert ana.post("/admin/limiter/export/add/", FORM).status_code == 302
    order = Export.objects.get()
    assert (order.tenants, order.requested_name) == (["acme", "globex"], "ana")
    build.build(order.pk)
    order.refresh_from_db()
    for end, name in (("download", order.file_name), ("manifest", f"{order.file_name}.manifest.json")):
        url = f"/admin/limiter/export/{order.pk}/{end}/"
        response = ana.get(url)
        assert (response.status_code, response["Content-Disposition"]) == (200, f'attachment; filename="{name}"')
        assert stranger.get(url).status_code == 404
    assert str(order.pk) not in stranger.get("/admin/limiter/export/").content.decode()


def test_an_export_that_cannot_be_built_is_refused_by_the_form() -> None:
    response: Any = client("ana").post("/admin/limiter/export/add/", {**FORM, "format": "pdf"})
    assert response.status_code == 200 and "format" in response.context["adminform"].form.errors


def test_the_selected_exports_are_cancelled() -> None:
    ana = client("ana")
    order = export(requested_by=User.objects.get(username="ana"))
    ana.post("/admin/limiter/export/", {"action": "cancel_selected", "_selected_action": [str(order.pk)]})
    order.refresh_from_db()
    assert order.state == "cancelled"
