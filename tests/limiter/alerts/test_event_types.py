"""Types of events: each is one declaration, and every kind of contact point that takes it can say its example."""

from __future__ import annotations

import json

import pytest

from limiter.alerts.kinds.kind import Contact, Mail
from limiter.alerts.kinds.registry import KINDS
from limiter.alerts.message import Message
from quota_platform.base import features
from quota_platform.base.events import MAX_NAME

CONTACT = Contact("c0", "https://service.example.com/v2/enqueue", "whsec_" + "0" * 32, ("ana@example.com",))
TYPES = features.event_types()


def message(name: str, **data: object) -> Message:
    values = {**(TYPES[name].example if name in TYPES else {}), **data}
    content = {"type": name, "version": 1, "timestamp": "2026-11-25T10:30:00+00:00", "data": values}
    return Message.read(json.dumps(content), uid="msg_1")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", TYPES)
def test_a_message_of_each_type_says_something_at_each_kind_of_contact_point(name: str, kind: str) -> None:
    said = message(name)
    assert len(name) <= MAX_NAME and said.title and said.subject and list(said.facts())
    assert said.severity in ("critical", "error", "warning", "info")
    outgoing = KINDS[kind].outgoing(said, CONTACT, at_s=1_795_600_200)
    text = outgoing.text if isinstance(outgoing, Mail) else outgoing.body.decode()
    assert "None" not in text and "{" not in said.title


def test_a_type_of_another_release_is_shown_by_its_values() -> None:
    said = message("store.moved", tenant_id="acme", url=None, moved_keys=1_200, steps=["a"])
    assert (said.title, said.severity, said.opens_incident) == ("store.moved", "info", False)
    assert dict(said.facts()) == {"tenant_id": "acme", "moved_keys": "1,200"}


def test_an_end_names_the_incident_of_its_start() -> None:
    for name, type_ in TYPES.items():
        if type_.ends:
            assert message(name).incident == message(type_.ends).incident
