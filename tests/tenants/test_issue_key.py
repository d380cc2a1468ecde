"""`manage.py issue_key`: a key for people without a browser, its token shown once."""

from __future__ import annotations

import pytest
from django.core.management import CommandError, call_command

from tenants import credentials
from tenants.models import ApiKey, Tenant

pytestmark = pytest.mark.django_db


def test_a_tenant_s_key_is_made_and_its_token_alone_is_printed(
    acme: Tenant, capsys: pytest.CaptureFixture[str]
) -> None:
    call_command("issue_key", "IVR", tenant="acme", expires="2030-05-01T00:00:00Z")
    printed = capsys.readouterr()
    token = printed.out.strip()
    key = ApiKey.objects.get()
    assert (key.tenant, key.name, key.created_by) == (acme, "IVR", "manage.py issue_key")
    assert key.digest == credentials.digest(token)
    assert key.expires_at is not None and key.expires_at.year == 2030
    assert token not in printed.err
    assert key.prefix in printed.err


def test_a_platform_key_names_the_tenants_it_acts_for(acme: Tenant, globex: Tenant) -> None:
    call_command("issue_key", "Gateway", acts_for=["acme", "globex"], max_class="bulk")
    key = ApiKey.objects.get()
    assert key.max_class == "bulk"
    assert key.tenant is None
    assert {tenant.tenant_id for tenant in key.acts_for.all()} == {"acme", "globex"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "--tenant ID, or, for a platform key, --acts-for ID"),
        ({"tenant": "acme", "acts_for": ["acme"]}, "--tenant ID, or"),
        ({"tenant": "nobody"}, "There is no tenant 'nobody'"),
        ({"acts_for": ["acme", "nobody"]}, "There is no tenant 'nobody'"),
        ({"tenant": "acme", "expires": "tomorrow"}, "2030-05-01T00:00:00Z"),
        ({"tenant": "acme", "name": "x" * 81}, "name: "),
    ],
)
def test_a_key_that_cannot_be_made_is_refused_with_the_reason(
    acme: Tenant, options: dict[str, object], message: str
) -> None:
    with pytest.raises(CommandError, match=message):
        call_command("issue_key", options.pop("name", "IVR"), **options)
    assert not ApiKey.objects.exists()
