"""The examples of the pages: commands and requests on a running demo, settings, and Python."""

from __future__ import annotations

import asyncio
import json
import math
import re
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from requests import Session
from requests import get as fetch

from quota_platform.embedded import free_port
from quota_platform.env import load
from tests import examples, migrated
from tests.demo import post, running
from tests.examples import PAGES, ROOT
from tests.patience import HANG_S, until

NOT_RUN = {
    "README.md": {"make ": "it starts the demo on which the others run, and the tests"},
    "connections.md": {"curl -X POST https://quota.example/": "tests/limiter/upstream/test_outbound.py runs it"},
    "exports.md": {"python manage.py verify_export": "it needs a file; the tutorial verifies one"},
    "operations.md": {
        "cp .env": "it writes where it stands",
        "chmod 600 .env": "the same",
        "docker ": "it needs Docker",
        "curl -w": "a draining process; tests/quota_platform/test_draining.py reads the same",
    },
    "quickstart.md": {
        "make run": "it starts the demo on which the others run",
        "for i in ": "it is that of README.md",
        ".venv/bin/python manage.py shell": "a person types into it",
    },
    "record.md": {"rsync ": "it needs another machine"},
    "reliability.md": {".venv/bin/python -m pytest": "make test runs these tests"},
    "sandbox.md": {
        "curl ": "tests/quota_platform/sandbox/test_documentation.py runs them",
        "SANDBOX=": "they use it",
        "SANDBOX_CLIENTS=": "it serves until it is ended",
    },
    "style.md": {"python3 .ci/words.py --update": "it writes where it stands"},
}
"""Commands by their beginnings, and why they are not run here."""


@dataclass(frozen=True)
class Page:
    """``says``: what the commands print. ``instead``: what stands for a placeholder. ``first``: what the page takes for
    granted. ``then``: what works after it. ``again``: a command that is run twice.
    ``refused``: an error status is what the page shows. ``within_s``: a slower machine prints something else.
    """

    name: str
    says: tuple[str, ...] = ()
    instead: dict[str, str] = field(default_factory=dict)
    first: str = ""
    again: str = "-"
    then: str = ""
    refused: bool = False
    within_s: float = math.inf

    def script(self) -> str:
        skipped = tuple(NOT_RUN.get(self.name, ()))
        run = [each for each in examples.commands(page(self.name)) if not each.startswith(skipped or "-")]
        text = "\n".join(each for command in run for each in [command] * (1 + command.startswith(self.again)))
        for placeholder, value in self.instead.items():
            assert placeholder in text, placeholder
            text = text.replace(placeholder, value)
        return f"{self.first}\n{text}\n{self.then}\n"


def page(name: str) -> Path:
    return next(each for each in PAGES if each.name == name)


RUN = [
    Page("README.md", says=("    100 200\n", "      1 429\n"), first="KEY=$ACME", within_s=60),
    Page("access.md", says=('"status":404',), first="TOKEN=$STRANGER", refused=True),
    Page("accounts.md", says=("qt_",)),
    Page(
        "api.md",
        says=(
            '"tenant_id":"initrode2"',
            '"name":"Silver"',
            '"revoked_at":"2',
            'etag: "',
            '"status":"suspended"',
            '"tenant_id":"globex","actions":[',
            '],"next":null}',
            '"sentence":"',
        ),
        instead={
            "initrode": "initrode2",
            "$PREFIX": '$(curl "$API/keys/?tenant=initrode2" -H "$AUTH" | sed \'s/.*"prefix":"\\([^"]*\\).*/\\1/\')',
            "'If-Match: \"q0Zr3yVb7mJ1sK2d\"'": '"If-Match: $(curl -i -H "$AUTH" $API/tenants/initrode2/ | sed -n '
            "'s/^etag: \\(.*\\).$/\\1/p')\"",
            'Bearer $KEY" http://127.0.0.1:8000/decisions/': 'Bearer $HOOLI" $BASE/decisions/',
            "q5f3a9c0d1b7e426ajrcaqsb7aa2dmny": "$REFUSED",
        },
    ),
    Page(
        "connections.md",
        says=("sandbox (cxone_webaction): ok", "idempotency-replayed: true", '"received"'),
        again="curl -i",
    ),
    Page("operations.md", says=('{"status":"ready","reasons":[]}',)),
    Page("policies.md", says=("made policy ", "There are policies of these names already"), refused=True),
    Page(
        "quickstart.md",
        says=('"token":"qk_', '"story"', '"allowed":true'),
        instead={"export KEY=qk_…": "export KEY=$ACME", "$(jq -r .sandbox.control_url var/demo.json)": "$CONTROL"},
        then='curl -X POST "$BASE/check/createCase?peek=1" -H "Authorization: Bearer $KEY"',
    ),
    Page(
        "record.md",
        says=("quota_throttle_events_waiting ", '"sentence":"', "nothing was altered"),
        instead={
            "'Authorization: Token <token>'": '"Authorization: Token $TOKEN"',
            "/479912d896c15657c8e2348a/": "/$REFUSED/",
            "/mnt/archive/anchors": "$VAR_DIR/anchors",
            "--public-key KEY": '--public-key $(sed -n \'s/.*"public_key": *"\\([^"]*\\).*/\\1/p\' $VAR_DIR/anchors/*)',
        },
        first="python manage.py shell -c 'from limiter.record import keeping; keeping.anchor()'",
    ),
    Page("style.md"),
    Page(
        "tutorial.md",
        says=(
            '"violated-policies":["pace"],"limit":2,"used":2',
            '"pace";q=6;w=4',  # the raised limit is announced
            "This call was refused: 2 of 2 units in 4 seconds were in use under the limit 'pace'",
            ",initrode,lookupOrder,",  # the export has the event
            "events.csv.gz: 1 rows, as signed for admin.\n",  # and is verified
        ),
        first="unset -f curl",
    ),
    Page("waiting.md", says=("HTTP/1.1 200 OK", '"reserve_seconds":5')),
    Page("upstream-unit.md", instead={"$(jq -r .sandbox.control_url var/demo.json)": "$CONTROL"}),
]

SHELL = """set -eu
set -a; . {var}/demo.env; set +a
python() {{ {python} "$@"; }}
curl() {{ command curl -sS {fail} "$@" && echo; }}
BASE={base_url} API={base_url}/api CONTROL={control}
ACME={acme} KEY={globex} HOOLI={hooli} REFUSED={refused}
TOKEN={token} STRANGER={stranger} AUTH="Authorization: Token {token}"
"""
PAGER = "events.pagerduty.com"
PEOPLE = """
from django.contrib.auth.models import Group, User
for name in ("ana", "nightly-report", "stranger"):
    User.objects.create_user(name).groups.add(Group.objects.get(name="Supervisor"))
"""


@dataclass(frozen=True)
class Demo:
    """``facts``: the contents of its demo.json. ``words``: what SHELL needs."""

    facts: dict[str, Any]
    words: dict[str, str]

    def shell(self, script: str, *, refused: bool = False) -> subprocess.CompletedProcess[str]:
        before = SHELL.format(**self.words, fail="" if refused else "--fail-with-body")
        script = script.replace("var/", f"{self.words['var']}/").replace(".venv/bin/python", sys.executable)
        script = re.sub(r"http://127.0.0.1:8000|https://quota.example.com", self.facts["base_url"], script)
        command = ["/bin/sh", "-c", before + script]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, errors="replace", timeout=HANG_S)

    def prints(self, script: str) -> str:
        ran = self.shell(script)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return ran.stdout.strip()


def a_refusal(facts: dict[str, Any]) -> str:
    """The id of a decision that refused Hooli, which shares 120 calls a minute."""
    with ThreadPoolExecutor(10) as callers:
        responses = list(callers.map(lambda _: post(facts, tenant=3), range(130)))
    return next(str(each.json()["decision_id"]) for each in responses if each.status_code == 429)


def explained(facts: dict[str, Any], decision: str) -> bool:
    key = {"Authorization": f"Bearer {facts['tenants'][3]['api_key']}"}
    return fetch(f"{facts['base_url']}/decisions/{decision}", headers=key, timeout=HANG_S).ok


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory, django_db_setup: None) -> Iterator[Demo]:
    var = tmp_path_factory.mktemp("examples") / "var"
    var.mkdir()
    migrated.copy_to(var / "demo.sqlite3")
    with running(var, free_port(), WEB_WORKERS="1", DEMO_TRAFFIC="0", ALERT_HOOK_HOSTS=PAGER) as (_, facts):
        keys = {tenant["tenant_id"]: tenant["api_key"] for tenant in facts["tenants"]}
        words = {"var": str(var), "python": sys.executable, "control": facts["sandbox"]["control_url"], **keys}
        known = Demo(facts, words | {"base_url": facts["base_url"], "refused": "", "token": "", "stranger": ""})
        token = known.prints(f"python manage.py shell -v 0 -c '{PEOPLE}'; python manage.py create_api_token admin")
        stranger = known.prints("python manage.py create_api_token stranger")
        decision = a_refusal(facts)
        until(lambda: explained(facts, decision), what="the explanation of a refusal")
        yield Demo(facts, known.words | {"token": token, "stranger": stranger, "refused": decision})


@pytest.mark.slow  # it starts a dozen processes
@pytest.mark.parametrize("shown", RUN, ids=[each.name for each in RUN])
def test_the_commands_of_a_page_do_what_the_page_says(demo: Demo, shown: Page) -> None:
    began = time.monotonic()
    ran = demo.shell(shown.script(), refused=shown.refused)
    said = ran.stdout + ran.stderr
    assert ran.returncode == 0, said
    late = time.monotonic() - began > shown.within_s
    assert late or [each for each in shown.says if each not in said] == [], said


def sent(demo: Demo, session: Session, request: tuple[str, str, str]) -> Any:
    method, path, body = request
    token = session.cookies.get("csrftoken", "")
    headers = {"Referer": demo.facts["base_url"], "X-CSRFToken": token}
    response = session.request(
        method, demo.facts["base_url"] + path, json=json.loads(body), headers=headers, timeout=HANG_S
    )
    assert response.ok, response.text
    return response.json()


@pytest.mark.slow  # the same
def test_the_requests_of_the_page_on_alerts_are_accepted(demo: Demo) -> None:
    made, changed = examples.requests(page("alerts.md"))
    with Session() as api:
        api.headers["Authorization"] = f"Token {demo.words['token']}"
        point = sent(demo, api, made)
        method, path, body = changed
        changed_point = sent(demo, api, (method, re.sub(r"\d+", str(point["id"]), path), body))
        assert set(changed_point["events"]) == set(json.loads(body)["events"])


@pytest.mark.slow  # the same
def test_the_request_of_the_page_on_the_dashboard_has_the_effect_that_it_shows(demo: Demo) -> None:
    [request] = examples.requests(page("dashboard.md"))
    with Session() as browser:
        sign_in, known = f"{demo.facts['base_url']}/accounts/sign-in/", demo.facts["admin"]
        form = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', browser.get(sign_in, timeout=HANG_S).text)
        assert form
        said = {"username": known["username"], "password": known["password"], "csrfmiddlewaretoken": form[1]}
        browser.post(sign_in, data=said, headers={"Referer": sign_in}, timeout=HANG_S)
        effect = sent(demo, browser, request)
        assert effect["effect"].startswith(
            "Globex Travel, every action: limit minute is multiplied by 2 for 30 minutes"
        )
        assert effect["seen"]


def test_every_command_of_a_page_is_run_or_says_why_not() -> None:
    run = {each.name for each in RUN}
    for path in PAGES:
        shown, skipped = examples.commands(path), NOT_RUN.get(path.name, {})
        left = [each for each in shown if not each.startswith(tuple(skipped) or "-")]
        assert path.name in run or not left, f"{path.name}: {left}"
        unused = [start for start in skipped if not any(each.startswith(start) for each in shown)]
        assert unused == [], path.name


@pytest.mark.parametrize(
    "shown", [settings for path in PAGES for settings in examples.settings(path)], ids=lambda shown: next(iter(shown))
)
def test_the_settings_of_a_page_are_taken(monkeypatch: pytest.MonkeyPatch, shown: dict[str, str]) -> None:
    for name, value in shown.items():
        monkeypatch.setenv(name, value)
    taken = load()
    assert all(getattr(taken, name) for name in shown)


def test_the_python_of_the_page_on_demand_reads_it(db: None) -> None:
    [block] = [text for _, text in examples.blocks(page("demand.md")) if "series.between" in text]
    names: dict[str, Any] = {"start": 1_795_905_000, "end": 1_795_905_060}
    exec(block.replace('demand.limits["", "minute"]', 'assert demand.limits.get(("", "minute")) is None'), names)
    assert names["demand"].together() == {}


def test_the_python_of_the_page_on_the_sandbox_starts_one() -> None:
    [block] = [text for _, text in examples.blocks(page("sandbox.md")) if "running_in_thread" in text]
    names: dict[str, Any] = {}
    exec(
        f"async def shown():\n{textwrap.indent(block.replace('reached(3)', 'reached(0)'), '    ')}\n    return sandbox",
        names,
    )
    assert asyncio.run(names["shown"]()).state.faults
