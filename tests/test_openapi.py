"""The OpenAPI document: valid, complete, served from memory, shown without a foreign server, and kept by the API."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
from django.conf import settings
from django.core.management import call_command
from django.db import models
from django.http import HttpResponse
from django.test import Client, RequestFactory

from limiter.models import Assignment, Override, QuotaLimit, QuotaPolicy
from limiter.upstream.fields import FROM_UPSTREAM
from quota_platform.openapi import views
from quota_platform.openapi.headers import ALWAYS, QUOTA, UPSTREAM, WAIT
from tenants.models import Action, ApiKey, Connection, Tenant

GATEWAY = {
    ("post", "/invoke/{action_id}"): "200 400 401 403 404 405 408 409 413 422 429 500 502 503 504 default",
    ("post", "/check/{action_id}"): "200 400 401 403 404 405 422 429 500 503",
    ("get", "/decisions/{decision_id}"): "200 400 401 403 404 405 429 500 503",
    ("get", "/limits"): "200 400 401 403 405 429 500 503",
    ("get", "/metrics/{tenant_id}/{action_id}"): "200 401 403 404 405 429 500 503",
    ("get", "/metrics"): "200 401 405 500 503",
    ("get", "/healthz"): "200",
    ("get", "/readyz"): "200 503",
}


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(views.document())
    return found


def test_the_document_has_the_version_of_the_release(document: dict[str, Any]) -> None:
    assert document["info"]["version"] == settings.VERSION


def resolve(document: dict[str, Any], node: Any) -> Any:
    while isinstance(node, dict) and "$ref" in node:
        target: Any = document
        for part in node["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        node = target
    return node


def expanded(document: dict[str, Any], node: Any) -> Any:
    """A schema of the document as plain JSON Schema: references inside, ``nullable`` as a type."""
    node = resolve(document, node)
    if isinstance(node, list):
        return [expanded(document, inner) for inner in node]
    if not isinstance(node, dict):
        return node
    plain = {name: expanded(document, inner) for name, inner in node.items() if name != "nullable"}
    return {"anyOf": [plain, {"type": "null"}]} if node.get("nullable") is True else plain


def contents(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every body that a request or a response may have."""
    for item in document["paths"].values():
        for operation in item.values():
            yield from operation.get("requestBody", {}).get("content", {}).values()
            for response in operation["responses"].values():
                yield from response.get("content", {}).values()


def references(node: Any) -> set[str]:
    if isinstance(node, dict):
        inner = set().union(*(references(value) for value in node.values())) if node else set()
        return inner | ({node["$ref"]} if isinstance(node.get("$ref"), str) else set())
    return set().union(*(references(value) for value in node)) if isinstance(node, list) and node else set()


def test_the_document_is_valid_and_nothing_was_guessed(db: None) -> None:
    out = io.StringIO()
    call_command("spectacular", "--validate", "--fail-on-warn", "--format", "openapi-json", stdout=out)
    assert json.loads(out.getvalue())["openapi"].startswith("3.")


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    assert all(resolve(document, {"$ref": reference}) for reference in references(document))


def test_every_operation_has_a_name_of_its_own(document: dict[str, Any]) -> None:
    names = [operation["operationId"] for item in document["paths"].values() for operation in item.values()]
    assert len(names) == len(set(names)) > 40


@pytest.mark.parametrize(("method", "path"), GATEWAY)
def test_a_gateway_route_has_every_status_with_headers_and_an_example(
    document: dict[str, Any], method: str, path: str
) -> None:
    responses = document["paths"][path][method]["responses"]
    assert sorted(responses) == GATEWAY[method, path].split()
    for status, response in responses.items():
        assert response["description"]
        for content in response["content"].values():
            assert (
                status == "default"
                or content.get("example") is not None
                or content.get("examples")
                or path == "/invoke/{action_id}"
            )
        if path.startswith(("/invoke", "/check")):
            assert "X-Request-Id" in response["headers"]


def test_a_response_of_the_gateway_documents_its_headers(document: dict[str, Any]) -> None:
    responses = document["paths"]["/invoke/{action_id}"]["post"]["responses"]
    legacy = {f"X-RateLimit-{name}" for name in ("Limit", "Remaining", "Reset")}
    quota = {"RateLimit", "RateLimit-Policy", "X-Adaptive-Multiplier", *legacy}
    wait = {"Preference-Applied", "Server-Timing"}
    assert set(responses["200"]["headers"]) == {"X-Request-Id", *UPSTREAM, *quota, *wait}
    assert set(responses["429"]["headers"]) == {"X-Request-Id", "Retry-After", *quota, *wait}
    for name in ("Retry-After", "RateLimit", "RateLimit-Policy", "X-Request-Id", "X-Upstream-Latency-Ms"):
        assert document["components"]["headers"][name]["schema"]


def test_examples_fit_the_schemas_they_illustrate(document: dict[str, Any]) -> None:
    seen = 0
    for content in contents(document):
        values = [one["value"] for one in content.get("examples", {}).values()]
        values += [content["example"]] if "example" in content else []
        for value in values:
            jsonschema.validate(value, expanded(document, content["schema"]))
            seen += 1
    assert seen > 100


def test_every_management_route_tells_how_it_refuses(document: dict[str, Any]) -> None:
    for path, item in document["paths"].items():
        if path.startswith("/api/"):
            for method, operation in item.items():
                assert {"400", "401", "403"} <= set(operation["responses"]), (method, path)


def test_every_operation_says_in_a_line_what_it_does_and_stands_under_a_heading(document: dict[str, Any]) -> None:
    headings = {tag["name"] for tag in document["tags"]}
    assert next(iter(document["tags"]))["name"] == "gateway"  # callers come first
    for path, item in document["paths"].items():
        for operation in item.values():
            assert operation["summary"], path
            assert set(operation["tags"]) <= headings


def test_secrets_are_write_only_in_the_document(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    assert "client_secret" in schemas["ConnectionRequest"]["properties"]
    assert not {"client_secret", "access_key_secret"} & set(schemas["Connection"]["properties"])
    assert "token" not in schemas["Key"]["properties"]


def test_the_document_is_served_from_memory_to_many_at_once(client: Client) -> None:
    def fetch(_: int) -> HttpResponse:
        return views.schema(RequestFactory().get("/api/schema/"))

    with ThreadPoolExecutor(8) as pool:
        bodies = {response.content for response in pool.map(fetch, range(32))}
    assert bodies == {views.document()}
    assert views.document() is views.document()
    first = client.get("/api/schema/")
    assert first["Content-Type"] == "application/vnd.oai.openapi+json"
    assert client.get("/api/schema/", headers={"If-None-Match": first["ETag"]}).status_code == 304
    assert client.post("/api/schema/").status_code == 405


def test_the_docs_page_loads_only_our_own_files_and_has_no_script_inside(db: None, client: Client) -> None:
    page = client.get("/api/docs/").content.decode()
    sources = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert sources and all(source.startswith("/") for source in sources)
    assert re.findall(r"<script(?![^>]*\bsrc=)[^>]*>", page) == []
    for source in sources:
        response = client.get(source.replace("&amp;", "&"))
        assert response.status_code == 200, source
        response.close()


def test_the_root_of_the_api_leads_to_the_docs(client: Client) -> None:
    assert client.get("/api/")["Location"] == "/api/docs/"


@pytest.mark.parametrize(
    ("schema", "model"),
    [
        ("Tenant", Tenant),
        ("Connection", Connection),
        ("Action", Action),
        ("Key", ApiKey),
        ("Policy", QuotaPolicy),
        ("Limit", QuotaLimit),
        ("Assignment", Assignment),
        ("Override", Override),
    ],
)
def test_whatever_a_form_can_edit_the_api_can_write(
    document: dict[str, Any], schema: str, model: type[models.Model]
) -> None:
    written = set(document["components"]["schemas"][f"{schema}Request"]["properties"])
    editable = {field.name for field in model._meta.get_fields() if getattr(field, "editable", False)}
    assert editable - written <= {"id", "policy" if model is QuotaLimit else "id"}


def test_no_header_of_the_gateways_own_is_passed_on_from_the_upstream() -> None:
    ours = {name.lower() for name in (*ALWAYS, *WAIT, *QUOTA, *UPSTREAM)}
    assert ours.isdisjoint(FROM_UPSTREAM)
