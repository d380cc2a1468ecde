"""The texts of models: in the reader's language on pages, in English everywhere else."""

from __future__ import annotations

import pytest
from django.core.exceptions import ValidationError
from django.utils import translation

from limiter.models import QuotaLimit, QuotaPolicy
from tenants.models import Action, Tenant


def test_names_help_and_choices_are_in_the_readers_language() -> None:
    with translation.override("de"):
        field = QuotaLimit._meta.get_field("quota")
        assert (str(field.verbose_name), str(field.help_text)) == (
            "Limit",
            "Einheiten je Fenster oder gleichzeitig laufend.",
        )
        assert str(QuotaPolicy._meta.verbose_name_plural) == "Richtlinien"
        assert Tenant(status=Tenant.Status.SUSPENDED).get_status_display() == "gesperrt"
    assert Tenant(status=Tenant.Status.SUSPENDED).get_status_display() == "suspended"


def test_messages_of_validators_are_in_the_readers_language() -> None:
    with translation.override("es"):
        with pytest.raises(ValidationError) as data:
            Tenant(tenant_id="no spaces", name="x").clean_fields()
        assert data.value.message_dict["tenant_id"][0].startswith("Use letras")


def test_a_migration_reads_the_text_that_stands_in_the_model() -> None:
    with translation.override("de"):
        *_, options = QuotaLimit._meta.get_field("window_seconds").deconstruct()
    assert options["verbose_name"] == "window (s)"


def test_names_that_are_the_same_everywhere_take_no_word_from_djangos_own_catalogue() -> None:
    with translation.override("de"):
        assert translation.gettext("Delete") == "Löschen"
        assert str(dict(Action._meta.get_field("method").flatchoices)["DELETE"]) == "Delete"
