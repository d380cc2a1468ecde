"""What the pages say that ask before a deletion, and those of a row of which nothing has been recorded."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Group
from django.test import Client

from limiter.models import AlertDelivery, AlertHook, QuotaPolicy
from quota_platform.base.admin.scoped import _NAMED
from tenants.models import Tenant
from tests.quota_platform.test_admin_pages import make_assignment, make_hook, make_key, root, url_of

__all__ = ["root"]
pytestmark = pytest.mark.django_db


def test_the_page_names_what_goes_along_and_not_the_rows_that_only_tie_two_others_together(root: Client) -> None:
    key = make_key(1)
    text = root.get(url_of(Tenant, "delete", key.tenant)).text
    assert "API keys: 1" in text and str(key) in text
    assert "relationship" not in text and "acts_for" not in text


def test_of_many_rows_it_names_the_first_and_counts_all(root: Client) -> None:
    hook = make_hook(1)
    AlertDelivery.objects.bulk_create(
        AlertDelivery(hook=hook, event="alert.test", body="{}") for _ in range(_NAMED + 1234)
    )
    text = root.get(url_of(AlertHook, "delete", hook)).text
    assert f"Deliveries: {_NAMED + 1234}" in text
    assert text.count("Delivery:") == _NAMED and "and 1,234 more" in text


def test_a_row_in_use_is_refused_in_a_sentence_with_the_remedy(root: Client) -> None:
    assignment = make_assignment(1)
    text = root.get(url_of(QuotaPolicy, "delete", assignment.policy)).text
    assert "is in use and cannot be deleted. First take it away from these, or delete them:" in text
    assert str(assignment.action) in text and "protected" not in text


def test_a_history_without_entries_does_not_wonder_where_the_row_comes_from(root: Client) -> None:
    text = root.get(url_of(Group, "history", Group.objects.get(name="Auditor"))).text
    assert "Nothing has been recorded for this yet." in text
    assert "admin site" not in text
