"""`verify_audit` against somebody with access to the database: every way to falsify the record is named."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from limiter.models import AuditEntry, ThrottleEvent
from limiter.record import anchors, chain, keeping
from limiter.record.chain import Draft
from limiter.record.scripts import Client
from tests.limiter.record.given import refuse

pytestmark = pytest.mark.django_db


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "anchors"


@pytest.fixture
def kept(client: Client, redis_url: str, folder: Path) -> None:
    """Two batches of Acme's refusals, one of Globex's, entries of both and of the platform, and an anchor."""
    for second, tenant in enumerate(("acme", "globex", "acme")):
        refuse(redis_url, 5, tenant=tenant, name=f"{tenant}{second}-", after_s=second)
        keeping.store_all(client)
        chain.append([Draft("tenant.changed", tenant_id=tenant, payload={"n": second}), Draft("sign_in", actor="ana")])
    anchors.write(where=folder)


def verify(folder: Path) -> str:
    out = StringIO()
    call_command("verify_audit", anchors=folder, stdout=out)
    return out.getvalue()


def test_an_untouched_record_passes_and_says_what_was_checked(kept: None, folder: Path) -> None:
    assert verify(folder) == (
        "Checked 3 chains with 9 audit entries and 15 events (15 refusals), and 1 daily anchors: nothing was altered.\n"
    )


def rehashed(event: ThrottleEvent) -> None:
    """Falsify like somebody who knows how the hash is made."""
    before = ThrottleEvent.objects.filter(tenant_id=event.tenant_id, position=(event.position or 0) - 1).first()
    event.hash = chain.hash_of(event, previous=before.hash if before else "")
    event.save()


def edit(event: ThrottleEvent) -> str:
    ThrottleEvent.objects.filter(pk=event.pk).update(used=999)
    return f"event {event.pk} (acme/lookupOrder minute"


def edit_and_hash_again(event: ThrottleEvent) -> str:
    event.used = 999
    rehashed(event)
    following = ThrottleEvent.objects.get(tenant_id="acme", position=(event.position or 0) + 1)
    return f"event {following.pk} (acme/lookupOrder minute"


def edit_the_last_and_hash_again(event: ThrottleEvent) -> str:
    last = ThrottleEvent.objects.get(tenant_id="acme", position=10)
    last.used = 999
    rehashed(last)
    return "event at position 10 of tenant acme is not the one that acme #3 events vouches for"


def delete(event: ThrottleEvent) -> str:
    event.delete()
    return "refusal at position 4 of tenant acme is missing"


def put_in(event: ThrottleEvent) -> str:
    event.pk, event.stream_id, event.position = None, "forged", None
    event.save()
    return f"event {event.pk} (acme/lookupOrder minute"


def put_in_at_the_end(event: ThrottleEvent) -> str:
    event.pk, event.stream_id, event.position = None, "forged", 11
    rehashed(event)
    return "events of tenant acme end at position 11, the audit says 10: events were put in"


def reorder(event: ThrottleEvent) -> str:
    other = ThrottleEvent.objects.get(tenant_id="acme", position=5)
    rows = ThrottleEvent.objects.filter(pk__in=[event.pk, other.pk])
    rows.filter(pk=event.pk).update(position=999)
    rows.filter(pk=other.pk).update(position=4)
    rows.filter(pk=event.pk).update(position=5)
    return f"event {other.pk} (acme/lookupOrder minute"


def cut_the_tail(event: ThrottleEvent) -> str:
    ThrottleEvent.objects.filter(tenant_id="acme", position__gt=7).delete()
    return "events of tenant acme end at position 7, the audit says 10: events were taken out"


def edit_an_entry(event: ThrottleEvent) -> str:
    entry = AuditEntry.objects.get(tenant_id="acme", position=2)
    AuditEntry.objects.filter(pk=entry.pk).update(payload={"n": 7})
    return f"audit entry {entry.pk} (acme #2 tenant.changed) at position 2 was altered"


def empty_a_batch(event: ThrottleEvent) -> str:
    entry = AuditEntry.objects.get(tenant_id="acme", position=3)
    AuditEntry.objects.filter(pk=entry.pk).update(payload={})
    return f"audit entry {entry.pk} (acme #3 events) does not say which events it vouches for"


def edit_an_entry_and_hash_again(event: ThrottleEvent) -> str:
    entry = AuditEntry.objects.get(tenant_id="acme", position=2)
    entry.payload = {"n": 7}
    entry.hash = chain.hash_of(entry, previous=entry.previous_hash)
    entry.save()
    return "(acme #3 events) at position 3 does not follow the one before it"


def delete_an_entry(event: ThrottleEvent) -> str:
    AuditEntry.objects.filter(tenant_id="", position=2).delete()
    return "audit entry at position 2 of the platform is missing"


def cut_the_tail_of_the_entries(event: ThrottleEvent) -> str:
    AuditEntry.objects.filter(tenant_id="", position=3).delete()
    return "the chain of the platform ends at position 2, but anchor"


def cut_both_tails(event: ThrottleEvent) -> str:
    ThrottleEvent.objects.filter(tenant_id="acme", position__gt=5).delete()
    AuditEntry.objects.filter(tenant_id="acme", position__gt=2).delete()
    return "the chain of tenant acme ends at position 2, but anchor"


def remove_a_tenant_s_record(event: ThrottleEvent) -> str:
    ThrottleEvent.objects.filter(tenant_id="globex").delete()
    AuditEntry.objects.filter(tenant_id="globex").delete()
    return "the chain of tenant globex ends at position 0, but anchor"


FORGERIES = [
    edit,
    edit_and_hash_again,
    edit_the_last_and_hash_again,
    delete,
    put_in,
    put_in_at_the_end,
    reorder,
    cut_the_tail,
    edit_an_entry,
    empty_a_batch,
    edit_an_entry_and_hash_again,
    delete_an_entry,
    cut_the_tail_of_the_entries,
    cut_both_tails,
    remove_a_tenant_s_record,
]


@pytest.mark.parametrize("forge", FORGERIES, ids=lambda forge: forge.__name__)
def test_a_forgery_is_named(kept: None, folder: Path, forge: Callable[[ThrottleEvent], str]) -> None:
    named = forge(ThrottleEvent.objects.get(tenant_id="acme", position=4))
    with pytest.raises(CommandError) as broken:
        verify(folder)
    assert str(broken.value).startswith("BROKEN: ") and named in str(broken.value)
    assert broken.value.returncode == 1


def test_an_altered_anchor_is_named(kept: None, folder: Path) -> None:
    (file,) = folder.glob("*.json")
    file.write_text(file.read_text().replace('"position": 4', '"position": 3'))
    with pytest.raises(CommandError, match=f"anchor {file.name} is not signed with this platform's key"):
        verify(folder)


def test_a_missing_day_is_named(kept: None, folder: Path) -> None:
    today = timezone.now()
    for days in (1, 2, 3):
        anchors.write(now=today + timedelta(days=days), where=folder)
    missing, follower = (f"{today + timedelta(days=days):%Y-%m-%d}.json" for days in (2, 3))
    (folder / missing).unlink()
    with pytest.raises(CommandError, match=f"anchor {follower} follows {missing}, which is missing"):
        verify(folder)


def test_a_day_has_one_file_that_holds_its_newest_heads(kept: None, folder: Path) -> None:
    chain.append([Draft("sign_in", actor="ben")])
    anchors.write(where=folder)
    ((_, anchor),) = anchors.read(folder)
    assert anchor["heads"][""]["position"] == 4
    assert sorted(anchor["heads"]) == ["", "acme", "globex"]


def test_one_tenant_s_chain_can_be_checked_alone(kept: None, folder: Path) -> None:
    ThrottleEvent.objects.filter(tenant_id="globex", position=1).update(cost=7)
    out = StringIO()
    call_command("verify_audit", tenant="acme", anchors=folder, stdout=out)
    assert out.getvalue().startswith("Checked 1 chains with 4 audit entries and 10 events")


def test_without_anchors_it_says_what_it_could_not_see(db: None, tmp_path: Path) -> None:
    assert "a cut tail would not show" in verify(tmp_path / "none")


def test_a_thing_is_entered_once_under_its_name(db: None) -> None:
    first = chain.append([Draft("override.started", once="o1"), Draft("override.started", once="o1")])
    assert [entry.position for entry in first] == [1]
    assert chain.append([Draft("override.started", once="o1")]) == []
