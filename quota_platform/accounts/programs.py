"""Service accounts: the accounts of programs, which use API tokens and never sign in.

They are the members of the group SERVICE_GROUP. It is asked for at each sign-in, whichever way that goes.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings


def is_service_account(person: Any) -> bool:
    return bool(person.groups.filter(name=settings.ENV.SERVICE_GROUP).exists())
