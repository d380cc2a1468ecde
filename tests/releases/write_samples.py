"""Writes what this release writes, to be kept beside it: once, when it is released.

``.venv/bin/python -m pytest -q tests/releases/write_samples.py`` makes ``tests/releases/<version>``.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import redis
from django.contrib.auth.models import User
from django.core.management import call_command
from django.core.serializers.json import DjangoJSONEncoder
from django.test import Client as Browser
from django.urls import reverse
from django.utils import timezone
from pydantic import SecretStr
from pytest_django import Settings

from dashboard import news
from limiter import clients
from limiter.core import keys
from limiter.models import Override, QuotaPolicy
from limiter.policies.models.version import one_version
from limiter.record import anchors, formats, keeping, overrides, resets, retention
from limiter.record.resets import Reset
from limiter.record.scripts import Client
from limiter.record.verify import verify
from limiter.reports import manifest
from quota_platform.env import Env
from tenants.models import ApiKey, Tenant
from tests import releases
from tests.limiter import sharing
from tests.limiter.core.given import T0, S, bucket, log, slots
from tests.limiter.record.given import GOLD, refuse
from tests.releases import appointments, pools

AUDIT_KEY = "signs the samples of a release and nothing else"
SECRETS_KEY = "c2VhbHMgc2FtcGxlcyBvZiByZWxlYXNlcyBvbmx5ISE="
START = datetime.fromtimestamp(T0 // S, UTC)
LATER_S = 5 * 86_400
LONG: dict[str, Any] = {"window_us": 30 * 86_400 * S}


@pytest.mark.django_db
def test_the_record(
    redis_url: str, acme: Tenant, base_policy: QuotaPolicy, admin_user: User, settings: Settings, tmp_path: Path
) -> None:
    settings.ENV = settings.ENV.model_copy(update={"AUDIT_KEY": SecretStr(AUDIT_KEY), "EVENTS_KEPT_DAYS": 1})
    client = clients.client()
    edit(acme, base_policy)
    refuse_of_every_kind(client, redis_url)
    anchors.write(now=START + timedelta(days=1), where=tmp_path / "anchors")
    assert retention.prune(now=START + timedelta(days=2), at_once=3) > 0
    refuse(redis_url, 2, name="late", after_s=LATER_S + 60, limits=[log(1, **LONG, **GOLD)])
    keeping.store_all(client)
    anchors.write(now=START + timedelta(days=6), where=tmp_path / "anchors")
    client.close()
    keep("record", {**kept(tmp_path / "anchors"), "export": exported(tmp_path / "events.jsonl")})


def test_the_settings() -> None:
    keep("settings", sorted(Env.model_fields))


def edit(acme: Tenant, policy: QuotaPolicy) -> None:
    """Edits, sign-ins, an override's start and end, a reset."""
    browser = Browser()
    for password in ("wrong", "a-long-test-password"):
        browser.post(reverse("account_login"), {"username": "root", "password": password})
    ApiKey.objects.issue(name="Acme IVR", tenant=acme)[0].revoke()
    with one_version("slow upstream"):
        policy.latency_threshold_ms = 500
        policy.save()
    ends_at = timezone.now() + timedelta(hours=1)
    Override.objects.create(tenant=acme, effect="factor", factor=0.1, ends_at=ends_at, reason="Umbau ☎ é")
    for hours in (0, 2):
        overrides.note(now=timezone.now() + timedelta(hours=hours, seconds=1))
    reset = Reset("acme", "lookupOrder", "", "minute", "action", used=7, effective_limit=100)
    resets.note(reset, actor="root", reason="a test call")


def refuse_of_every_kind(client: Client, url: str) -> None:
    """Old refusals, and later ones: of each algorithm, shadow, cut, a flood, and what a worker decided alone."""
    refuse(url, 3, name="old")
    refuse(url, 2, tenant="globex", name="g")
    keeping.store_all(client)
    kinds = {
        "shadow": [log(5, **GOLD), log(1, name="trial", **LONG, shadow=True)],
        "bucket": [bucket(1, burst=1, window_us=3_000_000 * S)],
        "slots": [slots(1, lease_us=30 * 86_400 * S)],
    }
    for number, (name, limits) in enumerate(kinds.items()):
        refuse(url, 1, name=name, action=name, after_s=LATER_S + number, limits=limits)
    shown = f"500000|1000000|1410000|100|800000|0|{T0}|{T0 + (LATER_S + 60) * S}"
    client.hset(keys.evidence(1), "acme|", shown)
    client.set(keys.multiplier(1, "acme", None), 500_000)
    refuse(url, 1, name="cut", action="cut", after_s=LATER_S + 4, limits=[log(2, **LONG)])
    client.delete(keys.multiplier(1, "acme", None))
    refuse(url, 30, name="flood", action="flood", after_s=LATER_S + 5, per_second=30, limits=[log(1, **LONG)])
    keeping.store_all(client)
    sharing.decide(url)
    keeping.store_all(client)


def kept(folder: Path) -> dict[str, Any]:
    """The rows of the chained tables, and the anchors."""
    return {
        "audit_key": AUDIT_KEY,
        "checked": str(verify(anchored_in=folder)),
        "tables": {model._meta.db_table: rows(model) for model in formats.COVERED},
        "anchors": {path.name: path.read_text() for path in sorted(folder.glob("*.json"))},
    }


def rows(model: Any) -> dict[str, Any]:
    fields = [field for field in model._meta.concrete_fields if field.name != "id"]
    found = model.objects.order_by("pk").values_list(*(field.attname for field in fields))
    return {"columns": [field.column for field in fields], "rows": [list(row) for row in found]}


def exported(path: Path) -> dict[str, Any]:
    until = START + timedelta(days=9)
    call_command(
        "export_events", path, since=START.isoformat(), until=until.isoformat(), format="jsonl", tenant=["globex"]
    )
    data = json.loads(path.with_name(f"{path.name}.manifest.json").read_text())
    return {"file": path.name, "text": path.read_text(), "manifest": data, "public_key": manifest.public_key()}


@pytest.mark.django_db(transaction=True)
def test_shared_values_are_written(redis_url: str, acme: Tenant, base_policy: QuotaPolicy, settings: Settings) -> None:
    settings.SECRETS_KEYS = [SECRETS_KEY]
    sharing.decide(redis_url)
    sharing.tasks()
    sharing.entries(acme, base_policy)
    sharing.upstream(sharing.CONNECTION, mark="f1")
    with redis.Redis.from_url(redis_url, decode_responses=True) as store:
        data = {name: value(store, name) for name in sorted(store.keys("*"))}
    message = news.FORM.named({"type": "rights.changed", "person": 7})
    keep("shared", {"secrets_key": SECRETS_KEY, "store": data, "news": message})


def test_appointments(redis_url: str) -> None:
    keep("appointments", asyncio.run(appointments.write(redis_url)))


def test_pools(redis_url: str) -> None:
    keep("pools", asyncio.run(pools.write(redis_url)))


def value(store: Any, name: str) -> dict[str, Any]:
    read: dict[str, Callable[[], Any]] = {
        "string": lambda: store.get(name),
        "list": lambda: store.lrange(name, 0, -1),
        "set": lambda: sorted(store.smembers(name)),
        "zset": lambda: store.zrange(name, 0, -1, withscores=True),
        "hash": lambda: store.hgetall(name),
        "stream": lambda: store.xrange(name),
    }
    kind = store.type(name)
    return {"type": kind, "value": read[kind]()}


class Exact(DjangoJSONEncoder):
    """Times to the microsecond, which Django cuts off."""

    def default(self, o: Any) -> Any:
        return o.astimezone(UTC).isoformat(timespec="microseconds") if isinstance(o, datetime) else super().default(o)


def keep(name: str, data: dict[str, Any] | list[str]) -> None:
    folder = releases.HERE / releases.this_version()
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.json").write_text(
        json.dumps(data, cls=Exact, separators=(",", ":")).replace("],[", "],\n[") + "\n"
    )
