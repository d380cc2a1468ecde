"""How soon a running platform shows a refusal and delivers an alert, by the times that it writes down itself.

Each is measured several times, and the middle one counts: a turn of a periodic task that a busy machine starts late
makes one of them late, and a step too many in the way makes all of them so.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from quota_platform.embedded import free_port
from tests import migrated
from tests.demo import running
from tests.limiter.alerts.receiver import Receiver, listening
from tests.patience import HANG_S, patiently, until

pytestmark = [pytest.mark.slow, pytest.mark.paced]

STATE_S, ALERT_S = 2.0, 5.0
"""Goals: from a limit's first refusal to a page that shows it, and from reaching a threshold to the delivered alert."""
LIMIT = 10
PAUSE_S = 0.1


class Platform:
    """The demo without traffic, and its administrator's session."""

    def __init__(self, facts: dict[str, Any]) -> None:
        self.url = facts["base_url"]
        self.tenant = facts["tenants"][0]
        self._admin = requests.Session()
        page = f"{self.url}/accounts/sign-in/"
        self._admin.get(page, timeout=HANG_S)
        admin = facts["admin"]
        fields = {"username": admin["username"], "password": admin["password"]}
        token = self._admin.cookies["csrftoken"]
        self._admin.post(page, data={**fields, "csrfmiddlewaretoken": token}, headers={"Referer": page}, timeout=HANG_S)

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        headers = {"X-CSRFToken": self._admin.cookies["csrftoken"], "Referer": self.url}
        answer = self._admin.request(method, self.url + path, json=body, headers=headers, timeout=HANG_S)
        assert answer.ok, answer.text
        return answer.json()

    def call(self, action: str) -> requests.Response:
        headers = {"Authorization": f"Bearer {self.tenant['api_key']}"}
        return requests.post(f"{self.url}/invoke/{action}", json={}, headers=headers, timeout=HANG_S)

    def state(self, action: str) -> tuple[str, float]:
        """Of the limit as the tenant's page shows it now, and the time of these numbers."""
        frame = self.ask("GET", f"/dashboard/api/tenants/{self.tenant['tenant_id']}.json")
        states = {row["action"]: row["state"] for row in frame["rows"]}
        return states.get(action, ""), frame["at_ms"] / 1_000


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with listening() as made:
        yield made


@pytest.fixture
def platform(tmp_path: Path, receiver: Receiver, django_db_setup: None) -> Iterator[Platform]:
    var = tmp_path / "var"
    var.mkdir()
    migrated.copy_to(var / "demo.sqlite3")
    with running(var, free_port(), DEMO_TRAFFIC="0", ALERT_HOOK_HOSTS=receiver.address) as (_, facts):
        made = Platform(facts)
        made.ask("POST", "/api/alert-hooks/", {"name": "On-call", "url": receiver.url, "tenant": "acme"})
        (base,) = [each for each in made.ask("GET", "/api/policies/")["results"] if each["name"] == "Base"]
        (minute,) = base["limits"]
        smaller = {"limits": [{**minute, "quota": LIMIT}], "version": base["version"]}
        made.ask("PATCH", f"/api/policies/{base['id']}/", smaller)
        until(
            lambda: made.call("lookupOrder").headers.get("RateLimit-Policy", "").find(f"q={LIMIT};") > 0,
            what="the smaller limit",
        )
        yield made


def test_a_refusal_shows_within_two_seconds_and_an_alert_arrives_within_five(
    platform: Platform, receiver: Receiver
) -> None:
    waits_for_state, waits_for_alert = [], []
    for action in platform.tenant["actions"][1:]:
        for _ in range(LIMIT * 8 // 10):
            assert platform.call(action).status_code == 200
        reached_at = time.time()
        waits_for_alert.append(_arrived(receiver, action, 80) - reached_at)
        while platform.call(action).status_code == 200:
            pass
        refused_at = time.time()
        waits_for_state.append(_refusing(platform, action) - refused_at)
        waits_for_alert.append(_arrived(receiver, action, 100) - refused_at)
    assert statistics.median(waits_for_state) <= STATE_S, waits_for_state
    assert statistics.median(waits_for_alert) <= ALERT_S, waits_for_alert


def _arrived(receiver: Receiver, action: str, threshold: int) -> float:
    """When the start of this alert came in."""

    def look() -> float | None:
        messages = [(posted.at, json.loads(posted.body)) for posted in receiver.posted]
        found = (
            at
            for at, message in messages
            if message["type"] == "alert.started"
            and (message["data"]["action_id"], message["data"]["threshold_percent"]) == (action, threshold)
        )
        return next(found, None)

    return float(until(look, what=f"the alert of {action}") or 0)


def _refusing(platform: Platform, action: str) -> float:
    """Of what time the numbers are that show the refusal first, with a page that looks every moment."""
    for _ in patiently(f"{action} to be refusing", pause_s=PAUSE_S):
        state, at = platform.state(action)
        if state == "stop":
            return at
    raise AssertionError(action)
