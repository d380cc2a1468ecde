"""What no field can hold is the sender's mistake (400, by name), in every route and page and on both databases."""

from __future__ import annotations

import pytest
from django.test import Client

from tenants.models import Action, Tenant
from tests import unrendered
from tests.api_client import editor, errors
from tests.filled_form import filled_form

ROUTES = ("tenants", "connections", "actions", "keys", "policies", "assignments", "overrides", "alert-hooks", "exports")
HALF, WHOLE = r"\ud800", r"\ud83d\ude00"

pytestmark = pytest.mark.django_db


IMPOSSIBLE = [
    (rb'{"name": "\ud800"}', "name"),
    (rb'{"kind": "\ud800", "preset": "cxone"}', "kind"),
    (rb'{"limits": [{"algorithm": "\ud800"}]}', "limits[0].algorithm"),
    (rb'{"query_template": {"\ud800": "x"}}', r"query_template.\ud800"),
    (rb'{"\ud800": 1}', r"\ud800"),
    (rb'{"name": "a\u0000b"}', "name"),
    (b'{"cost": ' + b"1" * 5000 + b"}", "cost"),
    (b'{"cost": NaN}', "cost"),
    (b'{"factor": 1e400}', "factor"),
    (b'{"name": "a", "name": "b"}', "name"),
]


@pytest.mark.parametrize("route", ROUTES)
def test_values_that_no_field_can_hold_are_named(acme: Tenant, route: str) -> None:
    api = editor()
    found = [errors(api.post(f"/api/{route}/", body, content_type="application/json")) for body, _ in IMPOSSIBLE]
    assert [list(one) for one in found] == [[field] for _, field in IMPOSSIBLE]


@pytest.mark.parametrize("body", [b"\xef\xbb\xbf{}", b"{", b'"\xed\xa0\x80"', "{}".encode("utf-16")])
def test_a_body_that_is_no_json_is_reported_in_plain_words(acme: Tenant, body: bytes) -> None:
    response = editor().post("/api/tenants/", body, content_type="application/json")
    assert response.status_code == 400
    detail = response.json()["detail"]
    assert detail.startswith("The body cannot be taken. ")
    assert not any(word in detail for word in ("char", "codec", "Expecting", "decode", "delimiter", "utf-8-sig"))


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/api/actions/{action}/", rb'{"query_template": {"q": "\ud800"}}', "query_template.q"),
        ("/api/actions/{action}/", rb'{"kind": "\ud800"}', "kind"),
        ("/api/actions/{action}/", rb'{"param_map": ["\ud800"]}', "param_map[0]"),
        (
            "/api/connections/sandbox/",
            rb'{"token_extra_params": {"audience": "\ud800"}}',
            "token_extra_params.audience",
        ),
    ],
)
def test_a_change_with_half_a_character_is_named_and_changes_nothing(
    acme: Tenant, path: str, body: bytes, field: str
) -> None:
    action = Action.objects.get()
    response = editor().patch(path.format(action=action.pk), body, content_type="application/json")
    assert list(errors(response)) == [field]
    assert action.history.count() == 1


def test_a_whole_pair_is_a_character(acme: Tenant) -> None:
    body = f'{{"name": "{WHOLE}"}}'.encode()
    assert editor().patch("/api/tenants/acme/", body, content_type="application/json").json()["name"] == "\U0001f600"


@pytest.mark.parametrize(
    "header", ["Größe geändert".encode().decode("latin1"), "UTF-8''Gr%C3%B6%C3%9Fe%20ge%C3%A4ndert", None]
)
def test_a_reason_may_be_in_any_language(acme: Tenant, header: str | None) -> None:
    headers, body = ({"X-Change-Reason": header}, {}) if header else ({}, {"reason": "Größe geändert"})
    response = editor().patch("/api/tenants/acme/", {"name": "Acme 2", **body}, headers=headers)
    assert response.status_code == 200, response.content
    assert acme.history.latest().history_change_reason == "Größe geändert"
    long = "ü" * 255
    assert editor("bob").patch("/api/tenants/acme/", {"name": "Acme 3", "reason": long}).status_code == 200
    assert acme.history.latest().history_change_reason == long


PAGES = ("/api/tenants/", "/api/policies/", "/admin/tenants/tenant/", "/admin/limiter/quotapolicy/", "/dashboard/")


QUERIES = ("search=%00", "q=%00", "status=a%00b", "%00=1", "preset__exact=%00", "name=%00")


@pytest.mark.parametrize("page", PAGES)
def test_a_nul_in_an_address_is_a_400(admin_client: Client, acme: Tenant, page: str) -> None:
    for query in QUERIES:
        response = admin_client.get(f"{page}?{query}")
        assert response.status_code == 400
        if page.startswith("/api/"):
            assert list(errors(response)) == [query.partition("=")[0].replace("%00", r"\u0000")]


def test_a_nul_in_a_path_or_a_cookie_is_a_400() -> None:
    assert Client().get("/admin/%00/").status_code == 400
    assert Client().get("/api/tenants/%00/").status_code == 400
    stranger = Client(headers={"Cookie": r'sessionid="aaaaaaaa\000aaaa"'})
    assert stranger.get("/admin/").status_code == 400
    assert list(errors(stranger.get("/api/tenants/"))) == ["Cookie"]


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        (r'{"q": "\ud800"}', "q: Half of a surrogate pair"),
        (r'{"q": "\u0000"}', "q: Leave NUL characters out"),
        ('{"q": NaN}', "q: NaN is not a JSON number"),
        ('{"q": ' + "1" * 5000 + "}", "q: This number is too long"),
        ("\ufeff{}", "byte-order mark"),
        ('{"q"', "not JSON from line 1, column 5"),
    ],
)
def test_json_typed_into_the_admin_is_an_error_of_its_field(
    admin_client: Client, acme: Tenant, typed: str, says: str
) -> None:
    url = f"/admin/tenants/action/{Action.objects.get().pk}/change/"
    form = filled_form(admin_client.get(url).content) | {"query_template": typed}
    assert says in " ".join(unrendered.errors(admin_client, url, form)["query_template"])


def test_an_odd_number_in_the_dashboards_requests_is_reported_in_plain_words(
    admin_client: Client, acme: Tenant
) -> None:
    for url in ("/dashboard/api/actions/overrides/", "/dashboard/api/actions/keys/"):
        for body in (b'{"tenant": "\\ud800"}', b'{"tenant": ' + b"9" * 5000 + b"}"):
            response = admin_client.post(url, body, content_type="application/json")
            assert response.status_code == 400
            assert "tenant: " in response.json()["detail"]
