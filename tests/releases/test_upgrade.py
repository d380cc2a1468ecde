"""An upgrade in place: this release goes on with the database, the store and the files that the first one left."""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from celery import current_app
from django.contrib import admin
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db.models import Sum
from django.test import Client as Browser
from django.urls import reverse
from django.utils.module_loading import import_string
from pydantic import SecretStr
from pytest_django import DjangoDbBlocker, Settings

from limiter import clients, offline
from limiter.core.peers import Peers
from limiter.core.store import Store
from limiter.gateway.runtime import GatewaySettings, Runtime
from limiter.live.snapshot import Snapshot
from limiter.models import DeadLetter, ThrottleEvent, UsageMinute
from limiter.record import anchors, keeping
from limiter.record.verify import verify
from limiter.reports.models import Export
from limiter.stores.pipeline import Address
from limiter.stores.pool import StorePool
from quota_platform import beat, lean_urls
from quota_platform.base.features import installed
from quota_platform.env import Env
from tenants.models import Connection
from tenants.spec_rows import connection_spec
from tests import releases
from tests.asgi import Caller
from tests.limiter import patient
from tests.limiter.core.given import PATIENT
from tests.limiter.gateway.conftest import FakeUpstream
from tests.releases import platform

FACTS = releases.sample(releases.FIRST, "platform")
ACME, GLOBEX = FACTS["api_keys"]["acme"], FACTS["api_keys"]["globex"]
STORED, ALL = 666, 911
"""Refusals in the database, and all of them: no worker had taken the others out of the store yet."""


@dataclass(frozen=True)
class Migrated:
    """The files of the first release, its database brought up to date, and the columns that there were before."""

    var: Path
    url: str
    before: dict[str, dict[str, bool]]


@pytest.fixture(scope="module")
def migrated(tmp_path_factory: pytest.TempPathFactory, django_db_blocker: DjangoDbBlocker) -> Iterator[Migrated]:
    """On SQLite the very file that there was; on PostgreSQL its rows, in the tables that there were."""
    var = tmp_path_factory.mktemp("migrated")
    platform.unpack(releases.FIRST, var)
    with a_database(var / platform.DATABASE) as url, django_db_blocker.unblock():
        with platform.using(url, var=var):
            if url.startswith("postgres"):
                platform.move_into_postgres(var / platform.DATABASE)
            before = platform.columns()
            call_command("migrate", verbosity=0)
        yield Migrated(var, url, before)


@contextmanager
def a_database(file: Path, *, copied_from: str = "") -> Iterator[str]:
    """The URL of the SQLite file, or of a new database where the tests run on PostgreSQL."""
    server = os.environ.get("TEST_DATABASE_URL", "")
    if not server.startswith("postgres"):
        yield f"sqlite:///{file}"
        return
    name = f"upgrade_{uuid.uuid4().hex}"
    template = f" TEMPLATE {urlsplit(copied_from).path[1:]}" if copied_from else ""
    with psycopg.connect(server, autocommit=True) as link:
        link.execute(f"CREATE DATABASE {name}{template}".encode())
        yield urlsplit(server)._replace(path=f"/{name}").geturl()
        link.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@pytest.fixture
def upgraded(
    migrated: Migrated, tmp_path: Path, redis_url: str, settings: Settings, django_db_blocker: DjangoDbBlocker
) -> Iterator[Path]:
    """A deployment of this release on what the first one left; its VAR_DIR."""
    var = tmp_path / "var"
    shutil.copytree(migrated.var, var)
    data = {"VAR_DIR": var, "METRICS_TOKEN": SecretStr(FACTS["METRICS_TOKEN"]), "AUDIT_KEY": SecretStr("")}
    settings.SECRET_KEY = FACTS["SECRET_KEY"]
    settings.SECRETS_KEYS = [FACTS["SECRETS_KEYS"]]
    settings.ENV = settings.ENV.model_copy(update={**data, "SECRET_KEY": SecretStr(FACTS["SECRET_KEY"])})
    platform.put_into_store(var, redis_url, taken_at_us=FACTS["at_us"])
    with a_database(var / platform.DATABASE, copied_from=migrated.url) as url:
        with django_db_blocker.unblock(), platform.using(url, var=var):
            yield var


@asynccontextmanager
async def gateway(redis_url: str) -> AsyncIterator[Caller]:
    runtime = Runtime(
        store=Store(StorePool(Address.from_url(redis_url), PATIENT)),
        snapshot=Snapshot(capacity=100),
        upstream=FakeUpstream(),
        gateway_settings=GatewaySettings(),
        peers=Peers(expected=1),
        side=patient.side(),
    )
    await runtime.open()
    try:
        yield Caller(lean_urls.handler(), {"runtime": runtime})
    finally:
        await runtime.close()


async def test_a_key_goes_on_where_its_limits_were(upgraded: Path, redis_url: str) -> None:
    async with gateway(redis_url) as caller:
        answered = [
            await caller.call("POST", "/invoke/lookupOrder", body=b"{}", headers=[("Authorization", f"Bearer {ACME}")])
            for _ in range(4)
        ]
        assert [each.status for each in answered] == [200, 200, 200, 429]  # 117 of 120 calls of the month were made
        assert answered[-1].json["detail"].startswith("Limit 'month' has 120 of 120 in use")


async def test_totals_are_counted_on(upgraded: Path, redis_url: str) -> None:
    async with gateway(redis_url) as caller:
        await caller.call("POST", "/invoke/lookupOrder", body=b"{}", headers=[("Authorization", f"Bearer {ACME}")])
        metrics = await caller.call("GET", "/metrics", headers=[("Authorization", f"Bearer {FACTS['METRICS_TOKEN']}")])
    assert b'quota_decisions_total{decision="allowed",tenant="acme"} 118.0' in metrics.body
    assert b'quota_decisions_total{decision="refused",tenant="acme"} 7.0' in metrics.body


def test_what_waited_in_the_store_is_recorded(upgraded: Path) -> None:
    assert ThrottleEvent.objects.aggregate(refusals=Sum("count"))["refusals"] == STORED
    client = clients.client()
    keeping.store_all(client)
    keeping.store_all_usage(client)
    client.close()
    assert ThrottleEvent.objects.aggregate(refusals=Sum("count"))["refusals"] == ALL
    assert UsageMinute.objects.aggregate(refused=Sum("refused"))["refused"] == ALL
    assert not DeadLetter.objects.exists()
    assert verify(anchored_in=anchors.directory()).events > 0


def test_the_record_and_its_anchors_are_intact(upgraded: Path) -> None:
    checked = str(verify(anchored_in=anchors.directory()))
    assert f"412 events ({STORED} refusals), and 1 daily anchors" in checked


def test_exports_are_downloaded_and_verified(upgraded: Path, tmp_path: Path) -> None:
    program = Browser(headers={"Authorization": f"Token {FACTS['api_token']}"})
    exports = program.get("/api/exports/").json()["results"]
    assert {each["kind"] for each in exports} == {"events", "usage"}
    for export in exports:
        file = tmp_path / Export.objects.get(pk=export["id"]).manifest["file"]
        file.write_bytes(b"".join(program.get(f"/api/exports/{export['id']}/download/")))
        beside = tmp_path / f"{export['id']}.json"
        beside.write_text(json.dumps(program.get(f"/api/exports/{export['id']}/manifest/").json()))
        said = offline.verify_export(file, beside=beside, public=None, secret=FACTS["SECRET_KEY"])
        assert said == f"{file.name}: {export['rows']:,} rows, as signed for admin."


def test_every_page_of_the_admin_opens(upgraded: Path) -> None:
    browser = Browser()
    browser.force_login(User.objects.get(username="admin"))
    assert {url: browser.get(url).status_code for url in pages()} == dict.fromkeys(pages(), 200)


def pages() -> list[str]:
    """Each list, each first row, and the dashboard."""
    lists = [model for model in admin.site._registry if model._meta.app_label in {"limiter", "tenants", "auth"}]
    names = {model: f"admin:{model._meta.app_label}_{model._meta.model_name}" for model in lists}
    first: dict[Any, Any] = {model: model._default_manager.first() for model in lists}
    return [
        "/dashboard/",
        reverse("admin:index"),
        *(reverse(f"{name}_changelist") for name in names.values()),
        *(reverse(f"{names[model]}_change", args=[row.pk]) for model, row in first.items() if row is not None),
    ]


def test_every_list_and_its_first_row_in_the_api_are_read(upgraded: Path) -> None:
    program = Browser(headers={"Authorization": f"Token {FACTS['api_token']}"})
    statuses, rows = {}, 0
    resources = {prefix: import_string(each) for feature in installed() for prefix, each in feature.resources.items()}
    for prefix, resource in resources.items():
        if not hasattr(resource, "list"):
            continue
        found = program.get(f"/api/{prefix}/")
        statuses[prefix] = found.status_code
        for row in found.json()["results"][:1]:
            address = f"{prefix}/{row[resource.lookup_field.replace('pk', 'id')]}"
            statuses[address] = program.get(f"/api/{address}/").status_code
            rows += 1
    assert statuses == dict.fromkeys(statuses, 200) and rows > 8


def test_every_periodic_task_runs_and_nothing_becomes_a_dead_letter(upgraded: Path) -> None:
    current_app.loader.import_default_modules()
    for periodic in beat.periodic():
        current_app.tasks[periodic.task]()
    assert ThrottleEvent.objects.aggregate(refusals=Sum("count"))["refusals"] == ALL
    assert not DeadLetter.objects.exists()
    assert verify(anchored_in=anchors.directory()).events > 0


def test_secrets_that_were_sealed_are_opened(upgraded: Path) -> None:
    sealed = Connection.objects.exclude(client_secret_sealed="")
    opened = [connection_spec(row).client_secret() for row in sealed]
    assert opened and all(opened)


@pytest.mark.parametrize("release", releases.ALL)
def test_no_setting_of_a_release_is_ignored(release: str) -> None:
    assert set(releases.sample(release, "settings")) <= set(Env.model_fields)


def test_the_first_release_can_run_beside_on_the_migrated_database(migrated: Migrated, upgraded: Path) -> None:
    after = platform.columns()
    assert migrated.before.keys() <= after.keys()
    for table, had in migrated.before.items():
        assert had.keys() <= after[table].keys()
        assert all(after[table][name] for name in after[table].keys() - had.keys()), table
