"""People with every right there is, at their own tenants only: no right alone opens rows that they cannot reach."""

from __future__ import annotations

from django.contrib.auth.models import Permission, User
from django.test import Client

from quota_platform.base.row_access import SEE_EVERY
from tenants.models import Membership, Tenant


def member(name: str, *tenants: Tenant, without: tuple[str, ...] = ()) -> User:
    """Somebody of the staff who belongs to these tenants and may do everything, but for the rights named."""
    user = User.objects.create_user(name, password="a-long-test-password", is_staff=True)
    wanted = Permission.objects.filter(content_type__app_label__in=["tenants", "limiter", "auth"])
    user.user_permissions.set(wanted.exclude(codename__in=[SEE_EVERY.partition(".")[2], *without]))
    for tenant in tenants:
        Membership.objects.create(user=user, tenant=tenant)
    return user


def browser(user: User) -> Client:
    """Signed in to the admin and the dashboard."""
    client = Client()
    client.force_login(user)
    return client
