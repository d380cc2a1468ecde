"""The pages of the record in the admin: words, links and grouped numbers, and no history of what never changes."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client

from limiter.models import AuditEntry, DeadLetter, MultiplierChange, QuotaPolicy
from limiter.policies.models.version import one_version
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
    assert "Multiplier 0.62" in html and "0.65 s" in html
    assert f'href="/admin/tenants/tenant/{acme.pk}/change/"' in html
    assert f'href="/admin/tenants/action/{acme.actions.get().pk}/change/"' in html
    for raw in ("window_us", "wait_us", "stream", "0.6234567", "640.512"):
        assert raw not in html


def test_the_page_of_a_refusal_names_algorithms_in_words_and_no_policy_where_there_is_none(root: Client) -> None:
    slots = LIMIT | {"name": "inflight", "algorithm": "concurrency", "window_us": 0}
    day = LIMIT | {"name": "day", "window_us": 86_400_000_000, "wait_us": 0}
    learned = slots | {"name": "(in flight)", "policy_name": "", "policy_version": 0, "wait_us": 0}
    row = event(1, limit_name="inflight", limits=[slots, day, learned])
    html = " ".join(root.get(f"/admin/limiter/throttleevent/{row.pk}/change/").text.split())
    assert "refused until a running call ends" in html and "in 86,400 s" in html
    assert "concurrency: calls in flight)" in html and "sliding counter: for very large limits)" in html
    assert "(, version" not in html and "sliding_counter" not in html


def test_the_page_names_the_whole_second_from_which_on_each_limit_let_the_call_pass(root: Client) -> None:
    row = event(1, limits=[LIMIT | {"wait_us": 6_400_000}], at=NOON, retry_after_ms=6_400.0)
    html = " ".join(root.get(f"/admin/limiter/throttleevent/{row.pk}/change/").text.split())
    passes = NOON + timedelta(seconds=7)
    assert f"Waiting 6.4 s, until {passes:%Y-%m-%d %H:%M:%S} UTC" in html
    assert f"refused until {passes:%H:%M:%S} UTC" in html


def test_a_refusal_by_a_limit_that_no_policy_has_shows_none(root: Client) -> None:
    row = event(1, limit_name="(in flight)", policy_name="", policy_version=0)
    pages = ("/admin/limiter/throttleevent/", f"/admin/limiter/throttleevent/{row.pk}/change/")
    html = [" ".join(root.get(page).text.split()) for page in pages]
    assert not [each for each in html if " v0" in each or "version 0" in each]


def test_a_reason_that_ends_with_a_full_stop_gets_no_second_one(root: Client, acme: Tenant) -> None:
    with one_version("The demo's first policies."):
        policy = QuotaPolicy.objects.create(name="Base")
    row = event(1, policy_name="Base", policy_version=policy.version)
    html = root.get(f"/admin/limiter/throttleevent/{row.pk}/change/").text
    assert "Reason: The demo&#x27;s first policies." in html and "policies.." not in html


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


def test_the_details_of_an_audit_entry_are_nested_lines_with_plain_numbers_and_times(root: Client) -> None:
    payload = {
        "id": 12_345,
        "after": {"quota": 100_000, "factor": 0.6234567, "ends_at": "2026-11-30T16:05:46.007319+00:00"},
        "lines": [{"field": "Limit", "shared": True}],
    }
    row = AuditEntry.objects.create(tenant_id="acme", position=1, kind="policy", at=NOON, hash="0", payload=payload)
    html = root.get(f"/admin/limiter/auditentry/{row.pk}/change/").text
    assert "<strong>id</strong>: 12345" in html and "<strong>quota</strong>: 100,000" in html
    assert "<strong>factor</strong>: 0.62" in html and "<strong>ends_at</strong>: 2026-11-30 16:05:46 UTC" in html
    assert "<strong>field</strong>: Limit" in html and "<strong>shared</strong>: yes" in html
    assert "{" not in html.partition('<div class="q-line">')[2].partition("Previous hash")[0]


def test_a_dead_letter_shows_its_content_in_lines(root: Client) -> None:
    row = DeadLetter.objects.create(stream_id="1-1", stream="events", fields={"at": "soon"}, deliveries=5)
    html = root.get(f"/admin/limiter/deadletter/{row.pk}/change/").text
    assert "<strong>at</strong>: soon" in html and "&#x27;at&#x27;" not in html


def test_a_p95_that_is_unknown_is_no_0(root: Client) -> None:
    about = {"before": 0.5, "after": 1.0, "p95_ms": 0.0, "samples": 3, "threshold_ms": 800}
    row = MultiplierChange.objects.create(stream_id="m1", at=NOON, tenant_id="acme", **about)
    listed = root.get("/admin/limiter/multiplierchange/").text
    assert re.search(r"field-p95[^>]*>\s*-\s*<", listed)
    page = root.get(f"/admin/limiter/multiplierchange/{row.pk}/change/").text
    assert re.search(r">\s*-\s*<", page.partition("P95 (ms)")[2].partition("threshold")[0])


def test_numbers_of_the_record_are_rounded_and_grouped(root: Client) -> None:
    row = MultiplierChange.objects.create(
        stream_id="m1", at=NOON, tenant_id="acme", before=1.0, after=0.6234567, p95_ms=1410.123456, samples=12_345,
        threshold_ms=800,
    )  # fmt: skip
    for page in ("", f"{row.pk}/change/"):
        html = root.get(f"/admin/limiter/multiplierchange/{page}").text
        assert "0.62" in html and "1,410.12" in html and "12,345" in html
        assert "0.6234567" not in html and "1410.123456" not in html
