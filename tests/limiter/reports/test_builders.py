"""Builders as processes: at once, cancelled, killed. However it goes, one whole file or none."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connection
from django.utils import timezone

from limiter.models import Export, ThrottleEvent
from limiter.reports import build, manifest
from tests.limiter.reports.given import NOON, event, export

pytestmark = pytest.mark.django_db(transaction=True)
ROWS = 1_500


@pytest.fixture
def order() -> Export:
    """An export of enough rows to be met in the middle."""
    first = event(0)
    data = {field.attname: getattr(first, field.attname) for field in first._meta.concrete_fields if field.name != "id"}
    ThrottleEvent.objects.bulk_create(
        ThrottleEvent(**{**data, "stream_id": f"1-{n}", "decision_id": f"d{n}", "at": NOON + timedelta(seconds=n)})
        for n in range(1, ROWS)
    )
    return export()


@contextmanager
def builder(order: Export, stored: Path) -> Iterator[subprocess.Popen[str]]:
    """A builder that is ready to begin."""
    data = connection.settings_dict
    url = f"sqlite:///{data['NAME']}"
    if connection.vendor == "postgresql":
        url = f"postgresql://{data['USER']}:{data['PASSWORD']}@{data['HOST']}:{data['PORT']}/{data['NAME']}"
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.limiter.reports.builder", str(order.pk), str(stored)],
        env={**os.environ, "DATABASE_URL": url},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def begin(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("go\n")
    process.stdin.flush()


def result(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def until_it_has_some_rows(order: Export) -> None:
    while order.rows < 20:
        order.refresh_from_db()


def files(stored: Path) -> list[Path]:
    return [path for path in stored.rglob("*") if path.is_file()]


def test_two_builders_at_once_make_one_file_and_one_manifest(order: Export, stored: Path) -> None:
    with builder(order, stored) as one, builder(order, stored) as other:
        begin(one)
        begin(other)
        assert sorted((result(one), result(other))) == ["False", "True"]
    order.refresh_from_db()
    (file,) = files(stored)
    assert (order.state, order.rows, order.manifest["rows"]) == ("done", ROWS, ROWS)
    manifest.verify(file, order.manifest, public=manifest.public_key())
    assert len(gzip.decompress(file.read_bytes()).splitlines()) == ROWS + 1


def test_a_builder_that_is_cancelled_in_the_middle_leaves_no_file_and_says_so(order: Export, stored: Path) -> None:
    with builder(order, stored) as one:
        begin(one)
        until_it_has_some_rows(order)
        build.cancel(order)
        assert result(one) == "False"
    order.refresh_from_db()
    assert (order.state, order.rows < ROWS, files(stored)) == ("cancelled", True, [])


def test_the_export_of_a_killed_builder_is_built_by_another(order: Export, stored: Path) -> None:
    with builder(order, stored) as one:
        begin(one)
        until_it_has_some_rows(order)
        one.kill()
        one.wait()
    order.refresh_from_db()
    assert order.state == "building" and build.unfinished() == [], "it may be alive still"
    Export.objects.update(alive_at=timezone.now() - build.SILENT - timedelta(seconds=1))
    assert build.unfinished() == [order.pk]
    assert build.build(order.pk) is True
    order.refresh_from_db()
    assert (order.state, order.rows, len(files(stored))) == ("done", ROWS, 1)


def test_a_builder_that_was_taken_for_dead_and_was_not_makes_no_second_file(order: Export, stored: Path) -> None:
    with builder(order, stored) as one:
        begin(one)
        until_it_has_some_rows(order)
        built = False
        while not built:  # it may say that it is alive in between
            Export.objects.update(alive_at=timezone.now() - build.SILENT - timedelta(seconds=1))
            built = build.build(order.pk)
            order.refresh_from_db()
            assert built or order.state == "building"
        assert result(one) == "False"
    order.refresh_from_db()
    assert (order.state, len(files(stored))) == ("done", 1)
