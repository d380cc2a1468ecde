"""A test that waits in vain ends at once where the page itself says why."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.visit import Visitor


@pytest.mark.parametrize("number", [1, 2], ids=["the tab of all", "and a new one after it"])
def test_a_script_that_breaks_ends_the_wait_for_what_it_would_have_shown(visitor: Visitor, number: int) -> None:
    visitor.open("/dashboard/sign-in/")
    visitor.page.evaluate("() => { setTimeout(() => { throw new Error('it broke') }); }")
    with pytest.raises(AssertionError, match="has been closed"):
        expect(visitor.page.locator("#never")).to_be_visible()
    assert visitor.complaints == ["it broke"]
    visitor.complaints.clear()
