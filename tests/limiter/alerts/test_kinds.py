"""Contact points: each kind gets a message in its service's own form, its secret nowhere else, and an end ends it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
from django.contrib.auth.models import User
from django.utils import timezone
from pytest_django import Settings

from limiter.alerts import deliveries, posting
from limiter.alerts.event_types import ENDED, STARTED
from limiter.models import Alert, AlertDelivery, AlertHook, AuditEntry
from tests.api_client import editor, errors
from tests.filled_form import filled_form
from tests.limiter.alerts import given
from tests.limiter.alerts.receiver import Posted, Receiver, listening
from tests.limiter.reports.mail_server import MailServer, serving
from tests.people import browser

pytestmark = pytest.mark.django_db(transaction=True)
HOOKS, ADMIN = "/api/alert-hooks/", "/admin/limiter/alerthook/"
SCHEMAS = Path(__file__).parent / "schemas"
KEY = "canary0key0canary0key0canary0key"
PATH = "/services/T0/B0/canary-path?sig=canary-sig"


@pytest.fixture
def receiver(settings: Settings) -> Iterator[Receiver]:
    with listening() as made:
        settings.ENV = settings.ENV.model_copy(
            update={"ALERT_HOOK_HOSTS": [made.address], "PUBLIC_URL": "https://quota.example.com"}
        )
        yield made


@pytest.fixture
def mail_server(settings: Settings) -> Iterator[MailServer]:
    with serving() as made:
        settings.ENV = settings.ENV.model_copy(
            update={
                "EMAIL_HOST": "127.0.0.1",
                "EMAIL_PORT": made.port,
                "EMAIL_TLS": "none",
                "REPORT_MAIL_DOMAINS": ["example.com"],
            }
        )
        yield made


def contact(kind: str, **fields: Any) -> AlertHook:
    row = AlertHook(**{"name": "On-call", "kind": kind, **fields})
    if row.contact.credential:
        row.seal(KEY)
    row.full_clean()
    row.save()
    return row


def at(receiver: Receiver, kind: str) -> AlertHook:
    path = PATH if kind in ("slack", "teams") else "/v2/alerts"
    return contact(kind, url=f"http://{receiver.address}{path}")


def alert(**fields: Any) -> Alert:
    return given.alert(**{"threshold": 95, "used": 95, "full_in_s": 42.0, **fields})


def sent(event: str, row: Alert) -> list[str | None]:
    """The messages of an alert, and their first attempt."""
    deliveries.put([row], event)
    states: list[str | None] = []
    posting.hand_out(lambda pk: states.append(posting.post(pk)))
    return states


def valid(posted: Posted, kind: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(posted.body)
    jsonschema.validate(content, json.loads((SCHEMAS / f"{kind}.json").read_text()))
    assert posted.headers["content-type"] == "application/json"
    return content


@pytest.mark.parametrize("kind", ["slack", "teams", "pagerduty", "opsgenie"])
def test_a_service_gets_start_and_end_in_its_own_form(receiver: Receiver, kind: str) -> None:
    at(receiver, kind)
    row = alert(policy_name="<!channel> & [Base](https://evil.example)" * 2)
    assert sent(STARTED, row) == ["arrived"]
    row.ended_at, row.ending = timezone.now(), Alert.Ending.FELL
    row.save()
    assert sent(ENDED, row) == ["arrived"]

    started, ended = (valid(each, kind) for each in receiver.posted)

    assert "95 % of limit minute of acme/lookupOrder is used" in json.dumps(started)
    assert "below 95 % again" in json.dumps(ended) or ended.get("event_action") == "resolve"


@pytest.mark.parametrize("kind", ["slack", "teams", "pagerduty", "opsgenie"])
def test_a_message_stays_within_the_lengths_that_a_service_takes(receiver: Receiver, kind: str) -> None:
    at(receiver, kind)
    assert sent(STARTED, alert(tenant_id="t" * 64, action_id="a" * 128, limit_name="l" * 32)) == ["arrived"]
    valid(receiver.posted[0], kind)


def test_the_end_names_the_incident_of_the_start(receiver: Receiver) -> None:
    row = alert()
    at(receiver, "pagerduty")
    sent(STARTED, row)
    row.ended_at = timezone.now()
    row.save()
    sent(ENDED, row)
    started, ended = (json.loads(each.body) for each in receiver.posted)
    assert (started["event_action"], ended["event_action"]) == ("trigger", "resolve")
    assert started["dedup_key"] == ended["dedup_key"]
    assert started["payload"]["severity"] == "error"


def test_opsgenie_closes_by_the_alias_of_the_start(receiver: Receiver) -> None:
    row = alert()
    at(receiver, "opsgenie")
    sent(STARTED, row)
    row.ended_at = timezone.now()
    row.save()
    sent(ENDED, row)
    started, ended = receiver.posted
    alias = json.loads(started.body)["alias"]
    assert ended.path == f"/v2/alerts/{alias}/close?identifierType=alias"
    assert {each.headers["authorization"] for each in receiver.posted} == {f"GenieKey {KEY}"}


def test_a_slack_message_calls_nobody_by_a_name_in_it(receiver: Receiver) -> None:
    at(receiver, "slack")
    sent(STARTED, alert(tenant_id="<!channel>", limit_name="a&b"))
    content = valid(receiver.posted[0], "slack")
    assert "&lt;!channel&gt;" in content["text"] and "a&amp;b" in content["text"], "mrkdwn"
    assert "<!channel>" in json.dumps(content["blocks"]), "plain text"


def test_mail_reaches_every_recipient_that_may_still_be_written_to(mail_server: MailServer, settings: Settings) -> None:
    contact("mail", recipients=["ana@example.com", "ben@example.com"])
    assert sent(STARTED, alert()) == ["arrived"]
    (mail,) = mail_server.mails
    assert mail["Subject"] == "95 % of limit minute of acme/lookupOrder is used"
    assert mail["To"] == "ana@example.com, ben@example.com"
    assert "Used: 95 of 100" in mail.get_content()
    settings.ENV = settings.ENV.model_copy(update={"REPORT_MAIL_DOMAINS": ["example.org"]})
    assert sent(STARTED, alert(threshold=100)) == ["waiting"]
    assert len(mail_server.mails) == 1


def test_the_secret_in_a_url_is_sealed_and_its_host_alone_shown(receiver: Receiver) -> None:
    api = editor("ana")
    response = api.post(
        HOOKS, {"name": "Chat", "kind": "slack", "tenant": None, "url": f"http://{receiver.address}{PATH}"}
    )
    assert response.status_code == 201, response.content
    path = f"{HOOKS}{response.json()['id']}/"
    assert response.json()["url"] == f"http://{receiver.address}/" and response.json()["secret"] is None
    renamed = api.patch(path, {"name": "Day", "url": f"http://{receiver.address}/"})
    assert renamed.status_code == 200
    api.post(f"{path}test/")
    assert receiver.posted[0].path == PATH, "an edit of the rest keeps the sealed URL"
    shown = [response.content, renamed.content, api.get(path).content, api.get("/api/alert-deliveries/").content]
    kept = repr([*AlertHook.history.values(), *AuditEntry.objects.values(), *AlertDelivery.objects.values()])
    assert "canary" not in kept + repr(shown)


def test_a_key_is_never_shown_again(receiver: Receiver, admin_user: User) -> None:
    api = editor("ana")
    fields = {"name": "Pager", "kind": "pagerduty", "url": f"http://{receiver.address}/v2/enqueue"}
    assert errors(api.post(HOOKS, fields)) == {"credential": ["Enter the integration key."]}
    made = api.post(HOOKS, {**fields, "credential": KEY})
    assert made.status_code == 201 and made.json()["credential_set"] is True
    page = browser(admin_user).get(f"{ADMIN}{made.json()['id']}/change/").content.decode()
    assert "A key is set." in page
    kept = repr([*AlertHook.history.values(), *AuditEntry.objects.values(), *AlertHook.objects.values()])
    assert KEY not in kept + page + made.content.decode()


def test_the_form_makes_a_contact_point_of_each_kind(receiver: Receiver, admin_user: User) -> None:
    root = browser(admin_user)
    form = filled_form(root.get(f"{ADMIN}add/").content)
    posted = {**form, "name": "Pager", "kind": "pagerduty", "url": f"http://{receiver.address}/v2/enqueue"}
    refused = root.post(f"{ADMIN}add/", {**posted, "credential": ""})
    assert "Enter the integration key." in refused.content.decode()
    saved = root.post(f"{ADMIN}add/", {**posted, "credential": KEY})
    assert saved.status_code == 302, "no secret to show"
    row = AlertHook.objects.get()
    assert (row.kind, row.secret()) == ("pagerduty", KEY)


@pytest.mark.parametrize(
    ("fields", "field", "wrong"),
    [
        ({"kind": "slack", "url": ""}, "url", "Give the URL that alerts are posted to."),
        (
            {"kind": "slack", "url": "https://a.example.com/"},
            "url",
            "Give the whole URL of the webhook, with its path.",
        ),
        ({"kind": "hook", "url": "https://a.example.com/x?t=1"}, "url", "Leave query and fragment out of the URL."),
        (
            {"kind": "hook", "url": "https://a.example.com/x", "credential": "x"},
            "credential",
            "This kind of contact point has no key to enter.",
        ),
        (
            {"kind": "mail", "recipients": []},
            "recipients",
            "No mail server is set (EMAIL_HOST); the operator of the platform sets it.",
        ),
    ],
)
def test_wrong_input_is_reported_at_its_field(
    settings: Settings, fields: dict[str, Any], field: str, wrong: str
) -> None:
    settings.ENV = settings.ENV.model_copy(update={"ALERT_HOOK_HOSTS": ["example.com"]})
    assert errors(editor("ana").post(HOOKS, {"name": "Chat", "tenant": None, **fields})) == {field: [wrong]}


def test_the_kind_of_a_contact_point_stays(receiver: Receiver) -> None:
    row = at(receiver, "slack")
    response = editor("ana").patch(f"{HOOKS}{row.pk}/", {"kind": "teams"})
    assert errors(response) == {"kind": ["A contact point keeps its kind. Create another one."]}


def test_only_a_signed_hook_gets_a_new_signing_secret(receiver: Receiver, admin_user: User) -> None:
    row = at(receiver, "slack")
    before = row.secret()
    response = editor("ana").post(f"{HOOKS}{row.pk}/new-secret/")
    assert errors(response) == {"kind": ["Only a signed hook has a signing secret. PATCH its credential."]}
    browser(admin_user).post(f"{ADMIN}{row.pk}/new-secret/")
    row.refresh_from_db()
    assert row.secret() == before
