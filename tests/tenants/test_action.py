"""An action that could not be invoked is refused when it is saved, with the field and the remedy."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from tenants import presets
from tenants.models import Action, Connection, Tenant

pytestmark = pytest.mark.django_db


@pytest.fixture
def unit(db: None) -> Tenant:
    """A tenant on a real business unit's preset."""
    row = Connection.objects.create(name="unit", preset="cxone", client_id="app", access_key_id="key")
    return Tenant.objects.create(tenant_id="unit", name="Unit", connection=row)


def errors_of(tenant: Tenant, **fields: Any) -> dict[str, list[str]]:
    action = Action(tenant=tenant, action_id="a", **fields)
    with pytest.raises(ValidationError) as caught:
        action.full_clean()
    return caught.value.message_dict


@pytest.mark.parametrize(
    "fields",
    [
        {"kind": "script_start", "skill_id": "42", "script_path": "Folder\\Script", "param_map": ["a", "b"]},
        {"kind": "script_start", "skill_id": "42", "script_id": "7"},
        {"kind": "signal", "param_map": ["answer"]},
        {"kind": "work_item", "point_of_contact": "Claims"},
        {"kind": "rest", "method": "GET", "path_template": "{services}/contacts/{contactId}"},
        {"kind": "rest", "path_template": "/data-extraction/v1/jobs", "success_statuses": [202]},
    ],
)
def test_an_action_that_fits_its_connection_is_accepted(unit: Tenant, fields: dict[str, Any]) -> None:
    Action(tenant=unit, action_id="a", **fields).full_clean()


@pytest.mark.parametrize(
    ("fields", "field", "says"),
    [
        ({"kind": "webaction"}, "kind", "script_start, signal, work_item, rest"),
        ({"kind": "unheard-of"}, "kind", "not a valid choice"),
        ({"kind": "script_start", "script_id": "7"}, "skill_id", "needs this field"),
        ({"kind": "script_start", "skill_id": "42"}, "script_path", "path or its ID"),
        ({"kind": "work_item"}, "point_of_contact", "needs this field"),
        ({"kind": "rest"}, "path_template", "needs this field"),
        ({"kind": "signal", "path_template": "/x"}, "path_template", "contactId"),
        ({"kind": "signal", "param_map": list("abcdefghij")}, "param_map", "at most 9"),
        ({"kind": "signal", "param_map": ["a", "a"]}, "param_map", "once"),
        ({"kind": "signal", "param_map": "abc"}, "param_map", "list"),
        ({"kind": "signal", "param_map": ["a|b"]}, "param_map", "list"),
        ({"kind": "rest", "path_template": "orders"}, "path_template", "Start the path"),
        ({"kind": "rest", "path_template": "/a/../b"}, "path_template", ".."),
        ({"kind": "rest", "path_template": "//evil.example"}, "path_template", "empty"),
        ({"kind": "rest", "path_template": "/a?b=c"}, "path_template", "query"),
        ({"kind": "rest", "path_template": "/a%2e%2e/b"}, "path_template", "Use letters"),
        ({"kind": "rest", "path_template": "/a\\b"}, "path_template", "Use letters"),
        ({"kind": "rest", "path_template": "/a/{b"}, "path_template", "placeholders"),
        ({"kind": "rest", "path_template": "/a/{services}"}, "path_template", "only start"),
        ({"kind": "rest", "path_template": "/a", "query_template": ["x"]}, "query_template", "object"),
        ({"kind": "rest", "path_template": "/a", "query_template": {"a&b": "x"}}, "query_template", "parameter name"),
        ({"kind": "rest", "path_template": "/a", "query_template": {"a": 1}}, "query_template", "text"),
        ({"kind": "rest", "path_template": "/a", "query_template": {"a": "{"}}, "query_template", "placeholders"),
        ({"kind": "rest", "path_template": "/a", "method": "TRACE"}, "method", "not a valid choice"),
        ({"kind": "rest", "path_template": "/a", "success_statuses": [200, 200]}, "success_statuses", "distinct"),
        ({"kind": "rest", "path_template": "/a", "success_statuses": [True]}, "success_statuses", "distinct"),
        ({"kind": "rest", "path_template": "/a", "success_statuses": [99]}, "success_statuses", "distinct"),
        ({"failure_at": "error"}, "failure_at", "starts with /"),
        ({"failure_at": "/a", "failure_when": "one_of"}, "failure_values", "Write the values"),
        ({"failure_at": "/a", "failure_when": "never"}, "failure_when", "not a valid choice"),
        ({"failure_at": "/a", "failure_values": "ERROR"}, "failure_values", "at most 32"),
        ({"failure_at": "/a", "failure_values": [None]}, "failure_values", "texts or numbers"),
        ({"failure_at": "/a", "failure_values": [["ERROR"]]}, "failure_values", "texts or numbers"),
        ({"failure_at": "/a", "failure_values": ["x" * 201]}, "failure_values", "texts or numbers"),
        ({"failure_at": "/a", "failure_values": list(range(33))}, "failure_values", "at most 32"),
        ({"failure_at": "/a", "failure_counts_as": "luck"}, "failure_counts_as", "not a valid choice"),
    ],
)
def test_a_field_that_cannot_work_is_named_with_its_remedy(
    unit: Tenant, fields: dict[str, Any], field: str, says: str
) -> None:
    assert says in " ".join(errors_of(unit, **fields)[field])


@pytest.mark.parametrize("fields", [{"kind": "rest"}, {"cost": 0}])
def test_the_database_refuses_what_the_form_would(acme: Tenant, fields: dict[str, Any]) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        Action.objects.create(tenant=acme, action_id="a", **fields)


@pytest.mark.parametrize("kind", presets.KINDS)
def test_every_field_of_a_kind_is_a_field_of_the_form(kind: str) -> None:
    names = {field.name for field in Action._meta.get_fields()}
    assert presets.KINDS[kind].fields <= names
    assert set(presets.KINDS[kind].required) <= presets.KINDS[kind].fields
    assert any(kind in preset.kinds for preset in presets.PRESETS.values())
