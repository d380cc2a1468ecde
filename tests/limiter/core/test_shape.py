"""Stacks of tenants under the same limits have one shape."""

from __future__ import annotations

from dataclasses import replace

from limiter.core.shape import LimitsThen
from limiter.core.types import CountedPer, Limit, Share, Subject
from limiter.core.window import Stack, bind

MINUTE = Limit("minute", "sliding_log", 5, window_us=60_000_000)
BUCKET = Limit("bucket", "token_bucket", 5, window_us=1_000_000, burst=9, counted_per=CountedPer.CONNECTION)


def stack(tenant: str, *limits: Limit, change: LimitsThen | None = None) -> Stack:
    return bind([replace(limit) for limit in limits], subject=Subject(1, tenant, "act", ""), change=change)


def test_stacks_of_two_tenants_share_the_description_and_the_packed_limits_and_no_key() -> None:
    acme, globex = stack("acme", MINUTE, BUCKET), stack("globex", MINUTE, BUCKET)
    assert acme.arguments[3] is globex.arguments[3] and acme.arguments[4] is globex.arguments[4]
    assert not set(acme.windows[:1]) & set(globex.windows) and acme.packed != globex.packed


def test_a_change_that_is_due_and_an_edited_quota_make_another_shape() -> None:
    plain, other = stack("acme", MINUTE), replace(MINUTE, quota=6)
    assert stack("acme", other).packed_limits != plain.packed_limits
    assert stack("acme", MINUTE, change=LimitsThen(7, (other,))).packed_limits.startswith(plain.packed_limits)


def test_the_packed_limits_of_a_shared_limit_name_the_tenants_own_account() -> None:
    shared = replace(BUCKET, share=Share(over_us=1_000_000))
    acme, globex = stack("acme", shared), stack("globex", shared)
    assert b"|acme\0" in acme.packed_limits and b"|globex\0" in globex.packed_limits


def test_shapes_of_limits_with_a_value_of_the_call_are_not_kept() -> None:
    valued = replace(MINUTE, counted_by="x-contact", max_values=9, value="ab" * 12)
    assert stack("acme", valued).described is not stack("acme", valued).described
