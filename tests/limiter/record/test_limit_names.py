"""What stands in a limit's place has words, the same on the server's pages and on live ones."""

from __future__ import annotations

import pytest
from django.core.exceptions import ValidationError
from django.utils import translation

from limiter.policies.models.limit import LIMIT_NAME
from limiter.record.limit_names import NAMED, limit_in_words
from tests.catalogues import LANGUAGES, SOURCE, browser

CODE = "limit.named."


@pytest.mark.parametrize("language", [SOURCE, *LANGUAGES])
def test_live_pages_have_the_words_of_the_servers_pages(language: str) -> None:
    with translation.override(language):
        ours = {f"{CODE}{name}": limit_in_words(name) for name in NAMED}
    assert {code: words for code, words in browser(language).items() if code.startswith(CODE)} == ours


@pytest.mark.parametrize("name", [name for name in NAMED if name])
def test_no_policy_can_give_a_limit_such_a_name(name: str) -> None:
    with pytest.raises(ValidationError):
        LIMIT_NAME(name)


def test_a_limit_of_a_policy_keeps_its_name() -> None:
    assert limit_in_words("minute") == "minute"
