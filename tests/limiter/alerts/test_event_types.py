"""Types of events: each is one declaration, and every kind of contact point that takes it can say its example."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jsonschema  # type: ignore[import-untyped]
import pytest

from limiter.alerts.kinds.kind import Contact, Mail, Post
from limiter.alerts.kinds.registry import KINDS
from limiter.alerts.message import Message
from quota_platform.base import features
from quota_platform.base.events import MAX_NAME, SEVERITIES
from quota_platform.env import BASE_DIR

CONTACT = Contact("c0", "https://service.example.com/v2/enqueue", "0" * 32, ("ana@example.com",))
TYPES = features.event_types()
SCHEMAS = Path(__file__).parent / "schemas"
DOCS = BASE_DIR / "docs" / "alerts.md"


def message(name: str, **data: object) -> Message:
    values = {**(TYPES[name].example if name in TYPES else {}), **data}
    content = {"type": name, "version": 1, "timestamp": "2026-11-25T10:30:00+00:00", "data": values}
    return Message.read(json.dumps(content), uid="msg_1")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", TYPES)
def test_a_message_of_each_type_says_something_at_each_kind_of_contact_point(name: str, kind: str) -> None:
    said = message(name)
    assert len(name) <= MAX_NAME and said.title and said.subject and list(said.facts())
    assert said.severity in SEVERITIES
    outgoing = KINDS[kind].outgoing(said, CONTACT, at_s=1_795_600_200)
    text = outgoing.text if isinstance(outgoing, Mail) else outgoing.body.decode()
    assert "None" not in text and "{" not in said.title


@pytest.mark.parametrize("kind", ["slack", "teams", "pagerduty", "opsgenie"])
@pytest.mark.parametrize("name", TYPES)
def test_a_service_takes_the_message_of_each_type(name: str, kind: str) -> None:
    long = {"changes": [{"field": "f" * 300, "before": "1", "after": "2"}] * 20} if name == "policy.published" else {}
    said = message(name, **long)
    if not (said.opens_incident or KINDS[kind].takes_news):
        return
    post = KINDS[kind].outgoing(said, CONTACT, at_s=1_795_600_200)
    assert isinstance(post, Post)
    if said.is_end and kind == "opsgenie":
        assert post.url.endswith("/close?identifierType=alias")
    change = kind == "pagerduty" and not said.opens_incident
    jsonschema.validate(json.loads(post.body), json.loads((SCHEMAS / f"{kind}{'_change' * change}.json").read_text()))
    assert not change or post.url == "https://service.example.com/v2/change/enqueue"


def test_what_opens_an_incident_has_an_end_that_closes_it_and_news_has_none() -> None:
    ended = {type_.ends for type_ in TYPES.values()} - {""}
    opening = {name for name, type_ in TYPES.items() if type_.incident and not type_.ends}
    assert opening - {"alert.test"} == ended, "else on-call services keep it open, or close another"


def test_the_documentation_has_every_type_with_its_severity_and_fields() -> None:
    rows = re.findall(r"^\| `([a-z.]+)` \| (\w+) \| [^|]+ \| ([^|]+) \|$", DOCS.read_text(), flags=re.MULTILINE)
    documented = {name: (how, set(re.findall(r"`(\w+)`", fields))) for name, how, fields in rows if name in TYPES}
    common = {"tenant_id", "url"}
    for name, type_ in TYPES.items():
        if not name.startswith("alert."):
            assert documented.get(name) == (type_.severity, set(type_.example) - common), name


def test_a_type_of_another_release_is_shown_by_its_values() -> None:
    said = message("store.moved", tenant_id="acme", url=None, moved_keys=1_200, steps=["a"])
    assert (said.title, said.severity, said.opens_incident) == ("store.moved", "info", False)
    assert dict(said.facts()) == {"tenant_id": "acme", "moved_keys": "1,200"}


def test_an_end_names_the_incident_of_its_start() -> None:
    for name, type_ in TYPES.items():
        if type_.ends:
            assert message(name).incident == message(type_.ends).incident
