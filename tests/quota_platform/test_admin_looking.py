"""Pages for those who may only look: values in words, and no JSON."""

from __future__ import annotations

import re

import pytest
from django.db.models import JSONField, Model

from limiter.models import AlertHook, Export
from tests.quota_platform.test_admin_pages import MAKERS, MODELS, RECORD, make_export, make_hook, staff, url_of

pytestmark = pytest.mark.django_db
VALUE = re.compile(r'<div class="readonly[^>]*>(.*?)</div>', re.DOTALL)
WITH_JSON = [
    model
    for model in MODELS
    if model not in RECORD and any(isinstance(field, JSONField) for field in model._meta.fields)
]


def shown(model: type[Model], row: Model) -> list[str]:
    page = staff(f"view_{model._meta.model_name}").get(url_of(model, "change", row))
    assert page.status_code == 200
    return [re.sub("<[^>]*>", "", value).strip() for value in VALUE.findall(page.text)]


@pytest.mark.parametrize("model", WITH_JSON, ids=lambda model: model._meta.label)
def test_a_page_to_look_at_shows_no_json(model: type[Model]) -> None:
    values = shown(model, MAKERS[model](0))
    assert values and [value for value in values if value.startswith(("[", "{", "&"))] == []


def test_a_list_stands_in_a_line_and_an_empty_one_is_a_dash() -> None:
    hook = make_hook(0)
    hook.events = ["alert.started", "key.expiring"]
    hook.save()
    assert "alert.started, key.expiring" in shown(AlertHook, hook)
    export = make_export(0)
    export.tenants = ["acme", "globex"]
    export.save()
    values = shown(Export, export)
    assert "acme, globex" in values and "-" in values
