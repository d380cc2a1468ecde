"""The pages of the record in the admin: words, links and grouped numbers, and no history of what never changes."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client

from limiter.models import AuditEntry, MultiplierChange
from tenants.models import Tenant
from tests.limiter.reports.given import LIMIT, NOON, event

pytestmark = pytest.mark.django_db


@pytest.fixture
def root(admin_user: User) -> Client:
    signed_in = Client()
    signed_in.force_login(admin_user)
    return signed_in


def test_the_page_of_a_refusal_has_words_links_and_grouped_numbers_but_no_json(root: Client, acme: Tenant) -> None:
    row = event(
        1,
        used=12_345,
        quota=20_000,
        effective_limit=12_469,
        multiplier=0.6234567,
        retry_after_ms=640.512,
        limits=[LIMIT],
    )
    html = root.get(f"/admin/limiter/throttleevent/{row.pk}/change/").text
    assert "12,345 / 12,469 (62% of 20,000)" in html
    assert "minute: 12,345 of 12,469" in html
    assert "Multiplier 0.62" in html and "0.64 s" in html
    assert f'href="/admin/tenants/tenant/{acme.pk}/change/"' in html
    assert f'href="/admin/tenants/action/{acme.actions.get().pk}/change/"' in html
    for raw in ("window_us", "wait_us", "stream", "0.6234567", "640.512"):
        assert raw not in html


def test_a_refusal_of_a_tenant_that_was_deleted_keeps_its_id(root: Client) -> None:
    row = event(1, tenant_id="gone")
    assert "gone" in root.get(f"/admin/limiter/throttleevent/{row.pk}/change/").text


def test_an_audit_entry_shows_its_details_in_lines_and_offers_no_history(root: Client) -> None:
    payload = {"object": "Gold", "changes": {"quota": [10, 20]}, "html": "<script>"}
    row = AuditEntry.objects.create(tenant_id="acme", position=1, kind="policy", at=NOON, hash="0", payload=payload)
    page = f"/admin/limiter/auditentry/{row.pk}"
    html = root.get(f"{page}/change/").text
    assert "<strong>object</strong>: Gold" in html and "&lt;script&gt;" in html
    assert "<strong>quota</strong>: 10, 20" in html and "[10, 20]" not in html
    assert f"{page}/history/" not in html
    assert root.get(f"{page}/history/").status_code == 404


def test_numbers_of_the_record_are_rounded_and_grouped(root: Client) -> None:
    row = MultiplierChange.objects.create(
        stream_id="m1", at=NOON, tenant_id="acme", before=1.0, after=0.6234567, p95_ms=1410.123456, samples=12_345,
        threshold_ms=800,
    )  # fmt: skip
    for page in ("", f"{row.pk}/change/"):
        html = root.get(f"/admin/limiter/multiplierchange/{page}").text
        assert "0.62" in html and "1,410.12" in html and "12,345" in html
        assert "0.6234567" not in html and "1410.123456" not in html
