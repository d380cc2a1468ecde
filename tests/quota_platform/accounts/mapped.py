"""What the groups of an identity provider give in the tests, whichever protocol it speaks."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.test import Client

from limiter.models import AuditEntry
from quota_platform.accounts.identity_provider import GIVER
from quota_platform.accounts.settings import Mapped

HOME = "https://quota.example.com"
MAPPING = {
    "supervisors": Mapped(groups=["Supervisor"], tenants=["acme"], staff=True),
    "auditors": Mapped(groups=["Auditor"], tenants=["globex", "nowhere"]),
    "owners": Mapped(superuser=True),
}


def ana() -> User:
    return User.objects.get(username="ana")


def assert_ana_is_supervisor_of_acme(client: Client) -> None:
    """After her sign-in with this client: the rights of the group ``supervisors``, her names, and no others."""
    person = ana()
    assert (person.email, person.first_name) == ("ana@example.com", "Ana")
    assert (person.is_staff, person.is_superuser, person.has_usable_password()) == (True, False, False)
    assert list(person.groups.values_list("name", flat=True)) == ["Supervisor"]
    assert list(person.memberships.values_list("tenant__tenant_id", "added_by")) == [("acme", GIVER)]
    assert client.get("/dashboard/tenants/acme/").status_code == 200
    entry = AuditEntry.objects.get(kind="account.mapped")
    assert entry.payload == {"account": "ana", "groups": ["Supervisor"], "staff": True, "superuser": False}
