"""A connection takes blank values from its preset, and refuses ones that cannot work."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.db import IntegrityError, transaction

from limiter.live import entry_format
from limiter.policies import stored
from limiter.policies.effective import TenantRules
from tenants import completeness, directory, presets, spec_data, spec_rows
from tenants.models import Action, Connection, Tenant

pytestmark = pytest.mark.django_db

CXONE = {"preset": "cxone", "client_id": "app@vendor", "access_key_id": "KEYID===="}
WEBACTION = {"base_url": "https://api-na1.niceincontact.com", "client_id": "c"}


def with_secrets(**fields: Any) -> Connection:
    row = Connection(name="unit", **fields)
    row.set_client_secret("canary-client-secret")
    row.set_access_key_secret("canary-key-secret")
    return row


def errors_of(**fields: Any) -> dict[str, list[str]]:
    return errors_in(with_secrets(**fields))


def errors_in(row: Connection) -> dict[str, list[str]]:
    with pytest.raises(ValidationError) as caught:
        row.full_clean()
    return caught.value.message_dict


@pytest.mark.parametrize(
    ("fields", "token_url", "grant", "auth", "scope", "skew"),
    [
        (
            {"base_url": "https://api-na1.niceincontact.com", "client_id": "c"},
            "https://api-na1.niceincontact.com/oauth/token",
            "client_credentials",
            "body",
            "webaction:execute",
            30,
        ),
        (CXONE, "https://cxone.niceincontact.com/auth/token", "password", "basic", "", 300),
        (
            {"preset": "cxone_access_key", "access_key_id": "KEYID===="},
            "https://na1.nice-incontact.com/authentication/v1/token/access-key",
            "access_key",
            "none",
            "",
            300,
        ),
        (
            {"preset": "genesys", "base_url": "https://api.mypurecloud.ie", "client_id": "c"},
            "https://login.mypurecloud.ie/oauth/token",
            "client_credentials",
            "basic",
            "",
            300,
        ),
        (
            {
                "preset": "generic_oauth2",
                "base_url": "https://api.example.com",
                "client_id": "c",
                "allowed_host_suffixes": "example.com",
            },
            "https://api.example.com/oauth/token",
            "client_credentials",
            "basic",
            "",
            300,
        ),
    ],
)
def test_a_preset_fills_the_rest(
    fields: dict[str, Any], token_url: str, grant: str, auth: str, scope: str, skew: int
) -> None:
    row = with_secrets(**fields)
    row.full_clean()
    row.save()

    spec = spec_rows.connection_spec(row)

    assert (spec.resolved_token_url, spec.grant_type, spec.client_auth) == (token_url, grant, auth)
    assert (spec.scope, spec.token_refresh_skew_s) == (scope, skew)


def test_a_connections_own_values_win_over_its_preset() -> None:
    row = Connection(
        name="unit",
        **CXONE,
        client_auth="body",
        scope="openid",
        token_url="https://cxone-gov.niceincontact.com/auth/token",
        token_refresh_skew_s=0,
    )

    spec = spec_rows.connection_spec(row)

    assert (spec.client_auth, spec.scope, spec.token_refresh_skew_s) == ("body", "openid", 0)
    assert spec.resolved_token_url == "https://cxone-gov.niceincontact.com/auth/token"


def test_a_dash_as_the_scope_sends_none() -> None:
    assert spec_rows.connection_spec(Connection(name="unit", scope="-")).scope == ""


def test_a_field_that_does_not_apply_to_the_preset_is_not_used() -> None:
    row = Connection(name="unit", base_url="https://a.niceincontact.com", access_key_id="left", grant_type="password")

    spec = spec_rows.connection_spec(row)

    assert (spec.access_key_id, spec.grant_type) == ("", "client_credentials")


def test_only_the_presets_themselves_ask_which_preset_a_connection_has() -> None:
    root = Path(presets.__file__).parents[1]
    asks = re.compile(rf"(==|!=|in|case) [({{\[]*[\"']({'|'.join(presets.PRESETS)})[\"']")
    rooms = [
        path for room in ("limiter", "tenants", "dashboard", "quota_platform") for path in (root / room).rglob("*.*")
    ]
    apart = {"migrations", "sandbox"}  # the sandbox imitates upstreams
    sources = [path for path in rooms if path.suffix in (".py", ".js") and not apart & set(path.parts)]
    assert [path.name for path in sources if asks.search(path.read_text())] == []
    assert asks.search('if connection.preset in ["cxone", "genesys"]:')


@pytest.mark.parametrize("preset", presets.PRESETS)
def test_every_field_of_a_preset_is_a_field_of_the_form(preset: str) -> None:
    names = {field.name for field in Connection._meta.get_fields()} | {"client_secret", "access_key_secret"}
    assert presets.PRESETS[preset].fields <= names
    assert set(presets.PRESETS[preset].required) <= presets.PRESETS[preset].fields


@pytest.mark.parametrize(
    ("fields", "field", "says"),
    [
        ({"base_url": "https://a.niceincontact.com"}, "client_id", "needs this field"),
        ({"client_id": "c"}, "base_url", "needs this field"),
        ({"preset": "cxone", "client_id": "c"}, "access_key_id", "(access key and application)' needs this field"),
        (
            {"preset": "generic_oauth2", "base_url": "https://a.example.com"},
            "allowed_host_suffixes",
            "needs this field",
        ),
        ({"preset": "generic_oauth2", "grant_type": "password"}, "access_key_id", "user name"),
        ({"preset": "generic_oauth2"}, "client_id", "Client credentials"),
        ({**CXONE, "is_sandbox": True}, "base_url", "SANDBOX_HOSTS"),
        ({**CXONE, "token_url": "http://cxone.niceincontact.com/auth/token"}, "token_url", "Use https"),
        ({**CXONE, "issuer_url": "https://cxone.example.com"}, "issuer_url", "allowed host suffixes"),
        ({**CXONE, "area": "../x"}, "area", "na1"),
        ({**CXONE, "api_version": "30"}, "api_version", "v30.0"),
        ({**CXONE, "probe_path": "/a/../b"}, "probe_path", ".."),
        ({**CXONE, "probe_path": "/a/{contactId}"}, "probe_path", "{services}"),
        ({**CXONE, "max_retries": 11}, "max_retries", "10"),
        ({**CXONE, "breaker_failure_percent": 101}, "breaker_failure_percent", "100"),
        ({**CXONE, "dedupe_ttl_s": 0}, "dedupe_ttl_s", "1"),
        ({**CXONE, "token_extra_params": ["audience"]}, "token_extra_params", "object"),
        ({**CXONE, "token_extra_params": {"client_secret": "x"}}, "token_extra_params", "client_secret"),
        ({**CXONE, "preset": "unheard-of"}, "preset", "not a valid choice"),
    ],
)
def test_a_field_that_cannot_work_is_named_with_its_remedy(fields: dict[str, Any], field: str, says: str) -> None:
    assert says in " ".join(errors_of(**fields)[field])


@pytest.mark.parametrize(
    ("fields", "secrets"),
    [
        (WEBACTION, ["client_secret"]),
        (CXONE, ["client_secret", "access_key_secret"]),
        ({"preset": "cxone_access_key", "access_key_id": "KEYID===="}, ["access_key_secret"]),
        ({"preset": "genesys", "base_url": "https://api.mypurecloud.ie", "client_id": "c"}, ["client_secret"]),
        ({"preset": "generic_oauth2", "client_id": "c"}, ["client_secret"]),
        ({"preset": "generic_oauth2", "client_id": "c", "grant_type": "password"}, ["access_key_secret"]),
        ({"preset": "generic_oauth2", "client_id": "c", "client_auth": "none"}, []),
    ],
)
def test_the_secrets_that_a_preset_needs_are_asked_for_by_name(fields: dict[str, Any], secrets: list[str]) -> None:
    row = Connection(name="unit", **fields)
    assert completeness.missing_secrets(row) == secrets
    assert completeness.missing_secrets(spec_rows.connection_spec(row)) == secrets, "what a worker holds of it"
    with pytest.raises(ValidationError) as caught:
        Connection(name="unit", **fields, probe_path="/..").full_clean()
    assert [name for name in caught.value.message_dict if name.endswith("secret")] == secrets


def test_a_connection_that_lacks_a_secret_from_before_can_be_edited_but_not_made_to_work_without() -> None:
    """Rows from before secrets were asked for: an address is corrected, and nothing pretends that they work."""
    Connection.objects.create(name="old", enabled=False, **WEBACTION)
    row = Connection.objects.get()
    row.max_retries = 1
    row.full_clean()
    for change in ({"enabled": True}, {"preset": "genesys", "base_url": "https://api.mypurecloud.ie"}):
        row = Connection.objects.get()
        for name, value in change.items():
            setattr(row, name, value)
        with pytest.raises(ValidationError) as caught:
            row.full_clean()
        assert "needs the client secret, and none is stored" in caught.value.message_dict["client_secret"][0]


def test_the_check_of_all_connections_names_what_each_lacks(capsys: pytest.CaptureFixture[str]) -> None:
    with_secrets(**WEBACTION).save()
    Connection.objects.create(name="off", enabled=False, **WEBACTION)
    call_command("check_connections")
    Connection.objects.create(name="old", **CXONE)
    with pytest.raises(CommandError, match="1 connections cannot work"):
        call_command("check_connections")
    data = capsys.readouterr().out
    assert "unit (cxone_webaction): ok" in data
    assert "off (cxone_webaction, off): the client secret is missing" in data
    assert "old (cxone): the client secret is missing; the access key secret is missing" in data


def test_a_preset_cannot_change_under_actions_it_could_not_invoke(acme: Tenant) -> None:
    row = acme.connection
    row.preset = "cxone"
    row.client_id, row.access_key_id = "app", "key"

    with pytest.raises(ValidationError) as caught:
        row.full_clean()

    assert "acme/lookupOrder" in caught.value.message_dict["preset"][0]


def test_a_tenant_cannot_move_to_a_connection_that_cannot_invoke_its_actions(acme: Tenant) -> None:
    other = Connection.objects.create(name="unit", **CXONE)
    acme.connection = other

    with pytest.raises(ValidationError) as caught:
        acme.full_clean()

    assert "lookupOrder" in caught.value.message_dict["connection"][0]


@pytest.mark.parametrize(
    "fields",
    [
        {"preset": "cxone_webaction", "base_url": ""},
        {"base_url": "https://a.niceincontact.com", "max_retries": 11},
    ],
)
def test_the_database_refuses_what_the_form_would(fields: dict[str, Any]) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        Connection.objects.create(name="unit", **fields)


def test_no_secret_reaches_history_or_repr(connection: Connection) -> None:
    connection.set_access_key_secret("canary-access-key-secret")
    connection.save()

    written = json.dumps(list(connection.history.values()), default=str)

    assert "secret_sealed" not in written
    assert "sealed='v1:" not in repr(spec_rows.connection_spec(connection))


def test_specs_survive_the_shared_cache(acme: Tenant) -> None:
    Action.objects.create(
        tenant=acme,
        action_id="order",
        kind="rest",
        method="GET",
        path_template="/orders/{id}",
        query_template={"expand": "{expand}"},
        param_map=["a"],
        success_statuses=[200, 404],
    )
    acme.connection.token_extra_params = {"audience": "x"}
    acme.connection.save()
    rules = stored.read_tenants(["acme"])["acme"]
    assert isinstance(rules, TenantRules)
    spec = rules.tenant

    again = entry_format.tenant(json.loads(json.dumps(spec_data.as_dict(spec))))

    assert again == spec
    assert hash(again.connection) == hash(spec.connection)
    assert hash(again.actions["order"]) == hash(spec.actions["order"])


def test_an_unlisted_action_is_of_the_kind_its_connection_invokes() -> None:
    genesys = Connection(name="org", preset="genesys", base_url="https://api.mypurecloud.de", client_id="c")

    action = directory.unlisted_action(spec_rows.connection_spec(genesys), "abc")

    assert (action.id, action.action_id, action.kind) == (None, "abc", "genesys_execute")


@pytest.mark.parametrize("field", ["base_url", "token_url", "issuer_url"])
@pytest.mark.parametrize("url", ["https://[::1", "https://a\nb.niceincontact.com", "https://api\\.niceincontact.com"])
def test_an_address_that_cannot_be_read_is_an_error_of_its_field(field: str, url: str) -> None:
    row = Connection(name="unit", **(CXONE | {field: url}))
    with pytest.raises(ValidationError) as caught:
        row.clean()  # by itself: forms and serializers look at the field first
    assert field in caught.value.message_dict
    stored = Connection(name="unit", **CXONE)
    stored.set_client_secret("canary")
    stored.save()
    setattr(stored, field, url)
    assert field in errors_in(stored)
