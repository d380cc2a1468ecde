"""Acts of a team on alerts and incidents: done once, for everyone, in the record, and by people of the tenant."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.utils import timezone

from limiter.alerts import mutes
from limiter.incidents import team
from limiter.incidents.team import Wish
from limiter.models import Alert, AuditEntry, Incident, TeamEntry
from tenants.models import Tenant
from tests.limiter.alerts.given import alert
from tests.limiter.incidents.given import incident
from tests.people import member

pytestmark = pytest.mark.django_db


@pytest.fixture
def ana(acme: Tenant) -> User:
    return member("ana", acme)


def wrong(target: Incident | Alert, wish: Wish, person: User) -> list[str]:
    """The fields that a refused wish names."""
    before = TeamEntry.objects.count(), AuditEntry.objects.filter(kind__startswith="team.").count()
    with pytest.raises(ValidationError) as refused:
        team.act(target, wish, person=person)
    assert (TeamEntry.objects.count(), AuditEntry.objects.filter(kind__startswith="team.").count()) == before
    return list(refused.value.message_dict)


def test_one_acknowledges_a_limits_alerts_and_its_incident_for_all(ana: User) -> None:
    row, other = incident(), incident(limit_name="hour")
    first, second, over = alert(), alert(threshold=95), alert(threshold=81, ended_at=timezone.now(), ending="fell")
    entry = team.act(second, Wish("acknowledged"), person=ana)
    assert (entry.by, entry.incident) == ("ana", row)
    assert set(Alert.objects.filter(acknowledged_by="ana")) == {first, second}
    assert list(Incident.objects.filter(acknowledged_by="ana")) == [row]
    assert wrong(row, Wish("acknowledged"), ana) == ["kind"]
    assert wrong(over, Wish("acknowledged"), ana) == ["kind"]
    third = alert(threshold=100)  # it got worse
    team.act(other, Wish("acknowledged"), person=ana)
    team.act(third, Wish("acknowledged"), person=ana)


def test_a_mute_ends_by_itself_or_by_hand(ana: User) -> None:
    row, now = incident(), timezone.now()
    until = now + timedelta(hours=1)
    team.act(row, Wish("muted", until=until), person=ana, now=now)
    limit = ("acme", "lookupOrder", "minute")
    assert mutes.active(["acme", "globex"], now=now) == {limit: until}
    assert mutes.active(["acme"], now=until) == {}
    team.act(row, Wish("unmuted"), person=ana, now=now)
    assert mutes.active(["acme"], now=now) == {}
    assert wrong(row, Wish("unmuted"), ana) == ["kind"]


@pytest.mark.parametrize("after", [timedelta(), team.MAX_MUTE + timedelta(seconds=1), None])
def test_a_mute_ends_within_a_week(ana: User, after: timedelta | None) -> None:
    now = timezone.now()
    assert wrong(incident(), Wish("muted", until=None if after is None else now + after), ana) == ["until"]


def test_an_incident_is_handed_over_with_a_sentence_to_somebody_who_sees_the_tenant(ana: User, globex: Tenant) -> None:
    row, tenant = incident(), Tenant.objects.get(tenant_id="acme")
    member("ben", tenant)
    member("gil", globex)
    User.objects.create_superuser("root")
    team.act(row, Wish("assigned", to="ana"), person=ana)
    team.act(row, Wish("handed_over", "The unit  is slow;\n watch p95.", to="ben"), person=ana)
    team.act(row, Wish("handed_over", "Back to you.", to="root"), person=ana)
    assert [(entry.to, entry.text) for entry in row.entries.order_by("pk")] == [
        ("ana", ""),
        ("ben", "The unit is slow; watch p95."),
        ("root", "Back to you."),
    ]
    row.refresh_from_db()
    assert row.owner == "root"
    assert wrong(row, Wish("assigned", to="gil"), ana) == wrong(row, Wish("assigned", to="nobody"), ana) == ["to"]
    assert wrong(row, Wish("handed_over", " ", to="ben"), ana) == ["text"]


def test_notes_are_written_after_the_end_too_and_need_words_and_an_incident(ana: User) -> None:
    row = incident(ended_at=timezone.now())
    team.act(row, Wish("note", "The campaign of Monday."), person=ana)
    assert wrong(row, Wish("note"), ana) == wrong(row, Wish("note", "a" * 1_001), ana) == ["text"]
    assert wrong(row, Wish("note", "\x1b[2J"), ana) == ["text"]
    assert wrong(alert(), Wish("note", "Nothing was refused."), ana) == ["kind"]
    assert wrong(row, Wish("danced"), ana) == ["kind"]


def test_every_act_is_in_the_tenants_audit_record(ana: User) -> None:
    row, now = incident(), timezone.now()
    wishes: list[Any] = [
        Wish("acknowledged"),
        Wish("muted", until=now + timedelta(minutes=5)),
        Wish("unmuted"),
        Wish("note", "Seen."),
        Wish("handed_over", "Yours.", to="ana"),
    ]
    for wish in wishes:
        team.act(row, wish, person=ana, now=now)
    found = AuditEntry.objects.filter(kind__startswith="team.").order_by("position")
    assert [(entry.tenant_id, entry.actor) for entry in found] == [("acme", "ana")] * len(wishes)
    done = [team.read(entry.payload) for entry in found]
    assert [each.kind for each in done] == [wish.kind for wish in wishes]
    assert (done[-1].incident, done[-1].text, done[-1].to, done[1].until) == (
        row.pk,
        "Yours.",
        "ana",
        (now + timedelta(minutes=5)).isoformat(),
    )
