"""The real platform as processes for a browser to visit: Valkey, the sandbox, one web worker; seeded as the demo."""

from __future__ import annotations

import json
import os
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from quota_platform.demo import cast, environment, service, tokens
from quota_platform.demo.service import Service
from quota_platform.demo.settings import DemoSettings
from quota_platform.embedded import free_port, last_words
from tests.browser import pseudo
from tests.browser.shell import Shell
from tests.patience import HANG_S, PAUSE_S, until

HOURLY = """
from limiter.models import Assignment, QuotaLimit, QuotaPolicy
from tenants.models import Action
policy, made = QuotaPolicy.objects.get_or_create(name="Hourly {action_id}")
if made:
    action = Action.objects.get(tenant__tenant_id="acme", action_id="{action_id}")
    Assignment.objects.create(policy=policy, target="action", action=action)
hour = dict(quota={quota}, window_seconds=3600, adaptive=False)
QuotaLimit.objects.update_or_create(policy=policy, name="hour", defaults=hour)
"""


class LiveDemo:
    """Start with :meth:`start`; the web server alone can be stopped and started again on the same port.

    ``traffic``: with the demo's calls, which play its stories too. ``pseudo_language``: with one language more than the
    platform's, to see which texts are in no catalogue.
    """

    def __init__(self, var: Path, *, workers: int = 1, traffic: bool = False, pseudo_language: bool = True) -> None:
        chosen = {"VAR_DIR": var, "PORT": free_port(), "WEB_WORKERS": workers, "REDIS_URL": "", "DATABASE_URL": ""}
        chosen["DEMO_TRAFFIC"] = traffic
        self.variables = environment.prepare(DemoSettings.model_validate(chosen))
        self.var = var
        self.url = f"http://127.0.0.1:{self.variables['PORT']}"
        self.shell = Shell({**environment.for_platform(self.variables), **self.variables})
        self._services = {each.name: each for each in service.all_of(self.variables)}
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        place = {"DJANGO_SETTINGS_MODULE": pseudo.__name__, pseudo.PLACE: str(var / "locale")}
        self._settings = place if pseudo_language else {}

    @property
    def sign_in(self) -> tuple[str, str]:
        """The user name and password of the administrator, who may do everything."""
        return cast.ADMIN, self.variables["DEMO_ADMIN_PASSWORD"]

    @property
    def supervisor_sign_in(self) -> tuple[str, str]:
        return cast.SUPERVISOR, self.variables["DEMO_SUPERVISOR_PASSWORD"]

    def start(self) -> None:
        pseudo.write(self.var / "locale")
        service.store_directory(self.variables).mkdir(parents=True, exist_ok=True)
        self._run(self._services[service.STORE])
        self._prepare_database()
        self._run(self._services["sandbox"])
        self.start_web()
        if traffic := self._services.get("traffic"):
            self._run(traffic)

    def _prepare_database(self) -> None:
        try:
            for command in ("migrate", "seed_demo"):
                self.shell.run(f"from django.core.management import call_command as c; c({command!r}, verbosity=0)")
        except RuntimeError as error:
            store = last_words(self.var / f"{service.STORE}.log")
            raise RuntimeError(f"{error}\nThe store's output:\n{store}") from None

    def start_web(self) -> None:
        self._run(self._services["web"])
        deadline = time.monotonic() + HANG_S
        while time.monotonic() < deadline:
            try:
                with urllib.request.urlopen(f"{self.url}/readyz", timeout=HANG_S):
                    return
            except (urllib.error.URLError, OSError):
                time.sleep(PAUSE_S)
        raise RuntimeError("the web server did not get ready: " + (self.var / "web.log").read_text()[-2000:])

    def stop_web(self) -> None:
        self._end("web")

    @contextmanager
    def with_settings(self, **settings: str) -> Iterator[None]:
        """The web server with other settings, and again with its own."""
        before, self._settings = self._settings, {**self._settings, **settings}
        try:
            self.stop_web()
            self.start_web()
            yield
        finally:
            self._settings = before
            self.stop_web()
            self.start_web()

    def stop(self) -> None:
        for name in reversed(list(self._running)):
            self._end(name)
        self.shell.close()

    def call(self, action_id: str, *, tenant_id: str = "acme", calls: int = 1) -> list[int]:
        """Invoke an action so many times, one call after the other."""
        token = tokens.read(self.var)[tenant_id]
        return [self._call(action_id, token) for _ in range(calls)]

    def call_with(self, token: str, action_id: str) -> int:
        """The status of one call with this token."""
        return self._call(action_id, token)

    def until(self, status: int, token: str, action_id: str) -> None:
        """Call with this token until a call gets this status; an edit is in force within a second."""
        deadline = time.monotonic() + HANG_S
        while (got := self._call(action_id, token)) != status:
            assert time.monotonic() < deadline, got

    def limit(self, action_id: str, quota: int) -> None:
        """Allow so many calls of one of Acme's actions in an hour, which the slowest machine can make in time.

        The next call meets this limit.
        """
        self.shell.run(HOURLY.format(action_id=action_id, quota=quota))
        until(lambda: self._hourly(action_id) == quota, what="the limit to be in force")

    def _hourly(self, action_id: str) -> int | None:
        """The quota of that limit as the web server holds it."""
        headers = {"Authorization": f"Bearer {tokens.read(self.var)['acme']}"}
        with urllib.request.urlopen(urllib.request.Request(f"{self.url}/limits", headers=headers)) as response:
            actions = {each["action_id"]: each for each in json.load(response)["actions"]}
        return next((limit["quota"] for limit in actions[action_id]["limits"] if limit["name"] == "hour"), None)

    def refuse(self, action_id: str) -> None:
        """Have a call of one of Acme's actions refused."""
        self.limit(action_id, 3)
        self.until(429, tokens.read(self.var)["acme"], action_id)

    def follow_refusals(self) -> None:
        """Store the refusals so far and take them into incidents, as the periodic tasks do."""
        self.shell.run(
            "from limiter.incidents import following; from limiter.record import keeping;"
            " keeping.store_events(); following.follow()"
        )

    def _call(self, action_id: str, token: str) -> int:
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.url}/invoke/{action_id}", data=b"{}", headers=headers, method="POST")
        try:
            with urllib.request.urlopen(request, timeout=HANG_S) as response:
                return int(response.status)
        except urllib.error.HTTPError as refused:
            with refused:
                return refused.code

    def _run(self, each: Service) -> None:
        with (self.var / f"{each.name}.log").open("ab") as log:
            payload = {**os.environ, **each.environment, **self._settings, "PYTHONWARNINGS": "ignore"}
            self._running[each.name] = subprocess.Popen(each.command, env=payload, stdout=log, stderr=log)

    def _end(self, name: str) -> None:
        process = self._running.pop(name)
        process.terminate()
        try:
            process.wait(HANG_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(HANG_S)
