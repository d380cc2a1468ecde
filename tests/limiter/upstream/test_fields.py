"""Only header fields that are named pass, and none that could be taken for two."""

from __future__ import annotations

import pytest

from limiter.upstream.fields import FROM_UPSTREAM, TO_UPSTREAM, from_upstream, to_upstream

HOP_BY_HOP = {
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "host",
    "cookie",
    "set-cookie",
    "authorization",
    "content-length",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "forwarded",
}


def sent(**given: str) -> dict[str, str]:
    made = to_upstream(
        {name.replace("_", "-"): value for name, value in given.items()},
        authorization="Bearer t",
        request_id="r",
        sends_body=False,
    )
    return {name: value for name, value in made.items() if name not in ("Authorization", "X-Correlation-Id")}


def test_no_list_names_a_field_of_the_hop_or_of_an_identity() -> None:
    assert not HOP_BY_HOP & (FROM_UPSTREAM | set(TO_UPSTREAM))


@pytest.mark.parametrize("name", sorted(HOP_BY_HOP | {"x-tenant-id", "x-api-key", "accept", "user-agent", "range"}))
def test_a_field_that_is_not_named_does_not_pass(name: str) -> None:
    assert sent(**{name: "v"}) == {}
    assert from_upstream([(name, "v")]) == []


@pytest.mark.parametrize("value", ["a\r\nX-Evil: 1", "a\nb", "a\rb", "a\0b", "a\tb", "ä", "a\x7fb", "x" * 1025])
def test_a_value_that_could_break_out_does_not_pass(value: str) -> None:
    assert sent(traceparent=value) == {}
    assert from_upstream([("Content-Language", value), ("X-Trace-Id", value)]) == []


def test_a_field_that_connection_names_is_for_this_hop_only() -> None:
    assert sent(connection="Close, TraceState", tracestate="a=b", traceparent="00-1") == {"traceparent": "00-1"}


def test_the_first_trace_id_present_is_passed_on() -> None:
    received = [("X-Request-Id", "r"), ("CorrelationId", "c")]
    assert from_upstream(received) == [("X-Upstream-Trace-Id", "c")]
