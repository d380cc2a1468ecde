"""JSON that a person types into the admin."""

from __future__ import annotations

import pytest
from django.core.exceptions import ValidationError

from quota_platform.base.admin.json_field import JsonField


@pytest.mark.parametrize("text", ["1e400", '{"a": [-1e400]}', "NaN", "[Infinity]", "{", '"\\u0000"'])
def test_a_json_field_takes_nothing_that_a_database_cannot_hold(text: str) -> None:
    with pytest.raises(ValidationError):
        JsonField().clean(text)
