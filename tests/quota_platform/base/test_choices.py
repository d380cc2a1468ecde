"""A wrong choice is answered with the choices: in every field of the API that has some, and in every list's filters."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.urls import get_resolver
from rest_framework import serializers
from rest_framework.exceptions import ValidationError

from quota_platform.base.api.choices import NamedChoiceField
from quota_platform.base.api.serializer import StrictSerializer
from tests.api_client import person

pytestmark = pytest.mark.django_db


def _all(of: type[Any]) -> Iterator[type[Any]]:
    for each in of.__subclasses__():
        yield each
        yield from _all(each)


def fields() -> Iterator[tuple[str, serializers.ChoiceField]]:
    assert get_resolver().url_patterns, "the routes import every serializer"
    for serializer in set(_all(StrictSerializer)):
        if hasattr(serializer, "Meta"):
            for name, field in serializer().fields.items():
                if isinstance(field, serializers.ChoiceField) and not field.read_only:
                    yield f"{serializer.__name__}.{name}", field


def test_every_choice_of_the_api_names_its_choices() -> None:
    found = dict(fields())
    assert {"ExportSerializer.format", "ConnectionSerializer.preset", "LimitSerializer.algorithm"} <= set(found)
    for name, field in found.items():
        with pytest.raises(ValidationError) as refusal:
            field.run_validation("no-such-choice")
        data = str(refusal.value.detail)
        assert all(str(value) in data for value in field.choices), name


def test_a_wrong_choice_is_not_sent_back_at_length() -> None:
    with pytest.raises(ValidationError) as refusal:
        NamedChoiceField(["one"]).run_validation("x" * 10_000)
    assert len(str(refusal.value.detail)) < 250


def test_a_filter_s_wrong_choice_is_answered_with_the_choices(admin_user: User) -> None:
    response = person("tenants.view_connection").get("/api/connections/?preset=cxone-webaction")
    assert response.status_code == 400
    assert "cxone_webaction" in response.json()["errors"]["preset"][0]
