"""However a policy is made, its alerts start at 80, 95 and 100 percent unless others are asked for."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from django.contrib.auth.models import User
from django.core import serializers
from django.core.management import call_command
from django.test import Client

from limiter.models import QuotaPolicy
from limiter.policies import presets, versions
from quota_platform.demo import seeding
from quota_platform.env import BASE_DIR
from tests.api_client import editor
from tests.limiter.policies.test_admin_policy import ADD, new_policy
from tests.quota_platform.test_demo_seeding import VARIABLES

pytestmark = pytest.mark.django_db
MINUTE = {"name": "minute", "quota": 100, "window_seconds": 60}
PRESET = next(iter(presets.PRESETS.values()))


def in_the_form() -> None:
    client = Client()
    client.force_login(User.objects.create_superuser("root", password=None))
    assert client.post(ADD, new_policy(client)).status_code == 302


def over_the_api() -> None:
    assert editor().post("/api/policies/", {"name": "Gold", "limits": [MINUTE], "reason": "x"}).status_code == 201


def from_a_preset_over_the_api() -> None:
    assert editor().post("/api/policies/presets/", {"preset": PRESET.name, "reason": "x"}).status_code == 201


def by_the_command() -> None:
    call_command("apply_policy_preset", PRESET.name, stdout=io.StringIO())


def in_code() -> None:
    QuotaPolicy.objects.create(name="Gold")


def from_a_fixture_of_an_earlier_release() -> None:
    QuotaPolicy.objects.create(name="Gold")
    (row,) = json.loads(serializers.serialize("json", QuotaPolicy.objects.all()))
    del row["fields"]["alert_at"]
    QuotaPolicy.objects.all().delete()
    (loaded,) = serializers.deserialize("json", json.dumps([row]))
    loaded.save()


def by_a_version_put_back() -> None:
    policy = QuotaPolicy.objects.create(name="Gold")
    number = policy.pk
    policy.delete()
    versions.restore(number, version=1, reason="x")


def in_the_demo() -> None:
    with TemporaryDirectory() as var:
        seeding.seed(VARIABLES, var=Path(var))


WAYS: list[Callable[[], None]] = [
    in_the_form,
    over_the_api,
    from_a_preset_over_the_api,
    by_the_command,
    in_code,
    from_a_fixture_of_an_earlier_release,
    by_a_version_put_back,
    in_the_demo,
]


@pytest.mark.parametrize("make", WAYS, ids=lambda make: make.__name__)
def test_a_new_policy_alerts(make: Callable[[], None]) -> None:
    make()
    assert {tuple(each.alert_at) for each in QuotaPolicy.objects.all()} == {(80, 95, 100)}


MAKERS = {
    "limiter/policies/admin/policy.py": in_the_form,
    "limiter/policies/presets.py": by_the_command,
    "quota_platform/demo/seeding.py": in_the_demo,
}


def test_every_module_that_makes_a_policy_is_tried_above() -> None:
    files = [
        path
        for app in ("limiter", "tenants", "quota_platform", "dashboard")
        for path in BASE_DIR.glob(f"{app}/**/*.py")
    ]
    assert {_place(path) for path in files if _makes(path)} == MAKERS.keys()


def _makes(path: Path) -> bool:
    made = r"(?<!class )\bQuotaPolicy\(|QuotaPolicy\.objects\.(?:\w*create\w*|bulk_\w+)\("
    return "migrations" not in path.parts and bool(re.search(made, path.read_text()))


def _place(path: Path) -> str:
    return path.relative_to(BASE_DIR).as_posix()
