"""A failure mode is one object: the form, the preview, the compiler and the worker read the same ones."""

from __future__ import annotations

import pytest

from limiter.models import QuotaLimit, QuotaPolicy
from limiter.outage.modes import MODES, FailureMode
from limiter.policies import sentences
from limiter.policies.compiled import PolicyInvalid, compile_policy


@pytest.mark.parametrize("mode", MODES.values(), ids=lambda mode: mode.name)
def test_failure_mode_is_offered_previewed_and_compiled(mode: FailureMode) -> None:
    policy = QuotaPolicy(name="Gold", store_failure=mode.name)
    line = QuotaLimit(name="minute", quota=10, window_seconds=60)
    assert policy.get_store_failure_display() == mode.label
    assert mode.sentence in sentences.policy(policy, [line])
    assert compile_policy(policy, [line]).store_failure == mode.name


def test_unknown_failure_mode_is_refused_with_the_known_ones() -> None:
    known = ", ".join(MODES)
    with pytest.raises(PolicyInvalid, match=f"Choose one of {known}\\."):
        compile_policy(QuotaPolicy(name="Gold", store_failure="guess"), [])
