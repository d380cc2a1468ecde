"""A form field that is declared by hand hides its model's default; every form of the admin starts with it."""

from __future__ import annotations

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.contrib.sessions.backends.signed_cookies import SessionStore
from django.db import models
from django.http import HttpRequest
from django.test import RequestFactory

LEFT_OPEN = {"adaptive"}
"""Fields whose default depends on another field, which the form does not know yet: whether a limit adapts is decided
by its window."""
MODELS = sorted(admin.site._registry, key=lambda model: model._meta.label)


@pytest.fixture
def root_request(admin_user: User) -> HttpRequest:
    request = RequestFactory().get("/")
    request.user, request.session = admin_user, SessionStore()
    return request


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model._meta.label)
def test_the_form_of_a_new_row_starts_with_the_defaults_of_its_model(
    model: type[models.Model], root_request: HttpRequest
) -> None:
    model_admin = admin.site._registry[model]
    if not model_admin.has_add_permission(root_request):
        return
    forms = [model_admin.get_form(root_request)]
    forms += [formset.form for formset, _ in model_admin.get_formsets_with_inlines(root_request)]
    for form in forms:
        unbound = form()
        for field in form._meta.model._meta.concrete_fields:
            if field.name in unbound.fields and field.has_default() and not isinstance(field, models.DateTimeField):
                default = unbound.fields[field.name].prepare_value(field.get_default())
                assert (unbound[field.name].value() or "") == (default or "") or field.name in LEFT_OPEN, field
