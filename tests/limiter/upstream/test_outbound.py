"""No value leaves its place in a template, whatever the caller puts into it."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from limiter.upstream.errors import NotConfigured, PayloadRefused
from limiter.upstream.outbound import compile_plan, preview
from tenants.directory import ActionSpec
from tests.limiter.upstream.conftest import connection_to

BASE = "https://api-na1.niceincontact.com"
CXONE = connection_to(BASE, "cxone")
GENERIC = connection_to(BASE, "generic_oauth2")
ORDER = ActionSpec(
    1, "order", kind="rest", path_template="/orders/{id}/lines", query_template=(("q", "{q}"), ("fixed", "a-{id}"))
)
SCRIPT = ActionSpec(2, "start", kind="script_start", skill_id="4", script_id="5", param_map=("a", "b", "c"))
SIGNAL = ActionSpec(3, "signal", kind="signal")


def target(action: ActionSpec, payload: object, *, connection: Any = GENERIC) -> str:
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return compile_plan(connection, action).target(body, tenant_id="acme")


PAGE = (Path(__file__).resolve().parents[3] / "docs" / "connections.md").read_text()
EXAMPLES = re.findall(r"^\| `(\{.+\})` \| (?:`(/[^`]+)`|422)", PAGE, re.MULTILINE)


@pytest.mark.parametrize(("payload", "request_target"), EXAMPLES)
def test_the_templates_of_the_documentation_make_the_requests_it_shows(payload: str, request_target: str) -> None:
    action = ActionSpec(
        4, "orders", kind="rest", path_template="/orders/{order}", query_template=(("lang", "{language}"),)
    )
    if request_target:
        assert target(action, payload.encode()) == request_target
    else:
        with pytest.raises(PayloadRefused):
            target(action, payload.encode())


def test_the_documentation_has_an_example_of_every_outcome() -> None:
    assert {bool(request_target) for _, request_target in EXAMPLES} == {True, False}


@given(st.text(min_size=1, max_size=60))
def test_any_text_stays_one_segment_and_one_parameter(value: str) -> None:
    try:
        made = target(ORDER, {"id": value, "q": value})
    except PayloadRefused:
        return
    url = URL(BASE + made, encoded=True)
    segments = made.partition("?")[0].split("/")
    assert (segments[1], segments[3], len(segments)) == ("orders", "lines", 4)
    assert unquote(segments[2]) == value
    assert parse_qsl(url.raw_query_string, keep_blank_values=True) == [("q", value), ("fixed", f"a-{value}")]
    assert url.host == "api-na1.niceincontact.com" and made.isascii()


@pytest.mark.parametrize(
    "value",
    [".", "..", "", "a\r\nHost: evil", "a\nb", "a\0", "\x7f", "\ud800", ["a"], {"a": 1}, None],
    ids=repr,
)
def test_a_value_that_cannot_stand_in_a_path_is_refused(value: object) -> None:
    with pytest.raises(PayloadRefused):
        target(ORDER, {"id": value})


@pytest.mark.parametrize(
    "value", ["%2e%2e", "..%2f", "a/../b", "\\..\\", "http://evil.example/", "//evil", "?a=b", "#f"]
)
def test_what_would_climb_elsewhere_is_only_text_here(value: str) -> None:
    made = URL(BASE + target(ORDER, {"id": value}), encoded=True)
    assert made.host == "api-na1.niceincontact.com"
    assert made.raw_path.count("/") == 3 and made.raw_path.endswith("/lines")


@pytest.mark.parametrize("body", [b"[]", b'"text"', b"1", b"null", b"{", b"\xff"])
def test_an_action_with_values_needs_an_object(body: bytes) -> None:
    with pytest.raises(PayloadRefused):
        target(ORDER, body)


def test_a_value_that_is_missing_is_named() -> None:
    with pytest.raises(PayloadRefused, match="id: this action needs a value"):
        target(ORDER, {})


def test_a_lone_placeholder_that_is_missing_leaves_its_parameter_out() -> None:
    assert target(ORDER, {"id": 7}) == "/orders/7/lines?fixed=a-7"


@pytest.mark.parametrize(("value", "text"), [(True, "true"), (1.5, "1.5"), (0, "0"), ({"a": [1]}, '{"a": [1]}')])
def test_values_are_written_as_json_writes_them(value: object, text: str) -> None:
    assert dict(parse_qsl(target(ORDER, {"id": 1, "q": value}).partition("?")[2]))["q"] == text


TOO_LARGE = [b"1e400", b"-1e400", b"[1, 1e400]", b'{"a": {"b": 1e999}}', b"NaN", b"-Infinity"]


@pytest.mark.parametrize("number", TOO_LARGE, ids=bytes.decode)
@pytest.mark.parametrize(
    ("action", "connection", "key"),
    [
        (ORDER, GENERIC, "id"),
        (ORDER, GENERIC, "q"),
        (SCRIPT, CXONE, "b"),
        (SIGNAL, CXONE, "contactId"),
        (SIGNAL, CXONE, "p2"),
        (ActionSpec(4, "item", kind="work_item", point_of_contact="Claims"), CXONE, "workItemPayload"),
    ],
    ids=lambda value: value if isinstance(value, str) else getattr(value, "kind", ""),
)
def test_a_number_that_overflows_is_refused_by_the_name_of_its_field(
    action: ActionSpec, connection: Any, key: str, number: bytes
) -> None:
    payload = b'{"id": 1, "contactId": 1, "%b": %b}' % (key.encode(), number)
    with pytest.raises(PayloadRefused, match=f"^{key}: "):
        target(action, payload, connection=connection)


@pytest.mark.parametrize("number", TOO_LARGE, ids=bytes.decode)
def test_a_number_that_no_template_takes_stands_in_no_ones_way(number: bytes) -> None:
    assert target(ORDER, b'{"id": 7, "unused": %b}' % number) == "/orders/7/lines?fixed=a-7"


def test_a_preview_of_a_number_that_overflows_names_its_field() -> None:
    with pytest.raises(PayloadRefused, match="unused: "):
        preview(GENERIC, ORDER, {"id": 7, "unused": [float("inf")]}, tenant_id="acme")


def test_script_parameters_keep_their_places() -> None:
    query = dict(parse_qsl(target(SCRIPT, {"c": "z", "a": "x y"}, connection=CXONE).partition("?")[2]))
    assert query == {"skillId": "4", "scriptId": "5", "Parameters": "x y||z"}


@pytest.mark.parametrize("value", ["a|b", "|", "a\rb", "a\nb", "a\0b"])
def test_a_script_parameter_cannot_become_two(value: str) -> None:
    with pytest.raises(PayloadRefused, match="b: "):
        target(SCRIPT, {"a": "x", "b": value}, connection=CXONE)


def test_a_signal_goes_to_the_contact_with_its_parameters() -> None:
    made = target(SIGNAL, {"contactId": 35049366001, "p1": "yes", "p9": "a&b", "p10": "no"}, connection=CXONE)
    assert made == "/inContactAPI/services/v30.0/interactions/35049366001/signal?p1=yes&p9=a%26b"


def test_a_signals_parameters_may_have_names_of_their_own() -> None:
    action = replace(SIGNAL, param_map=("answer", "agent"))
    assert target(action, {"contactId": "1", "agent": "Ann"}, connection=CXONE).endswith("/signal?p2=Ann")


def test_a_url_that_grows_too_long_is_refused() -> None:
    with pytest.raises(PayloadRefused, match="4096"):
        target(ORDER, {"id": "x" * 5000})


@pytest.mark.parametrize(
    ("connection", "action"),
    [
        (CXONE, ActionSpec(1, "a")),
        (GENERIC, ActionSpec(1, "a", kind="unheard-of")),
        (GENERIC, ActionSpec(1, "a", kind="rest", path_template="/a/../b")),
        (GENERIC, ActionSpec(1, "a", kind="rest", path_template="/{")),
        (GENERIC, ActionSpec(1, "a", kind="rest")),
    ],
)
def test_an_action_that_cannot_be_invoked_says_so(connection: Any, action: ActionSpec) -> None:
    with pytest.raises(NotConfigured):
        compile_plan(connection, action)


def test_an_action_without_values_is_compiled_once_for_all() -> None:
    plan = compile_plan(connection_to(BASE), ActionSpec(1, "lookup.Order-1"))
    assert plan.fixed == "/webactions/lookup.Order-1/invoke"
    assert plan.target(b"[1, 2]", tenant_id="acme") == plan.fixed


def test_a_preview_shows_the_request_with_its_secrets_as_dots() -> None:
    shown = preview(GENERIC, ORDER, {"id": "a/b", "q": "é"}, tenant_id="acme")

    assert (shown.method, shown.url) == ("POST", f"{BASE}/orders/a%2Fb/lines?q=%C3%A9&fixed=a-a%2Fb")
    assert ("Authorization", "Bearer •••") in shown.headers and ("Content-Type", "application/json") in shown.headers
    assert json.loads(shown.body) == {"id": "a/b", "q": "é"}


def test_a_preview_of_a_unit_that_is_yet_to_be_found_says_so() -> None:
    shown = preview(connection_to("", "cxone"), SCRIPT, {"a": 1}, tenant_id="acme")
    assert shown.url.startswith("https://<API host, from CXone>/inContactAPI/services/v30.0/scripts/start?skillId=4")
    assert shown.body == ""
