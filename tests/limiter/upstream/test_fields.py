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


@pytest.mark.parametrize("value", ["-5", "1.5", "nan", "inf", "soon", "", "1e9", "+3", "7, 7", "Feb 31"])
def test_a_retry_after_that_is_not_valid_is_not_handed_on(value: str) -> None:
    assert from_upstream([("Retry-After", value)]) == []


def test_a_retry_after_is_handed_on_in_seconds_and_within_a_day() -> None:
    def handed_on(*received: tuple[str, str]) -> list[tuple[str, str]]:
        return from_upstream(received, wall=lambda: 0.0)

    assert handed_on(("retry-after", " 07 ")) == [("Retry-After", "7")]
    assert handed_on(("Retry-After", "9" * 50)) == [("Retry-After", "86400")]
    date = ("Date", "Sun, 06 Nov 1994 08:47:37 GMT")
    assert handed_on(("Retry-After", "Sun, 06 Nov 1994 08:49:37 GMT"), date) == [("Retry-After", "120")]


def test_two_retry_afters_are_handed_on_only_if_they_say_the_same() -> None:
    assert from_upstream([("Retry-After", "1"), ("Retry-After", "1")]) == [("Retry-After", "1")]
    assert from_upstream([("Retry-After", "1"), ("Retry-After", "9")]) == []
