"""`manage.py drf_create_token ana`, the command of Django REST framework: a hashed token behind the old name.

Prefer `create_api_token`, which names the token, bounds it in time and can make it read only.
"""

from __future__ import annotations

from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from tenants.models import ApiToken

NAME = "drf_create_token"


class Command(BaseCommand):
    help = "Make a token for the management API that does not expire. -r revokes those that this command made before."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("username")
        parser.add_argument("-r", "--reset", action="store_true", dest="reset_token", default=False)

    def handle(self, *args: Any, **options: Any) -> None:
        username = options["username"]
        with transaction.atomic():
            owner = get_user_model()._default_manager.filter(username=username).first()
            if owner is None:
                raise CommandError(f"There is no user {username!r}.")
            if options["reset_token"]:
                for row in ApiToken.objects.filter(user=owner, name=NAME, revoked_at=None):
                    row.revoke()
            token = ApiToken.objects.issue(user=owner, name=NAME, created_by="manage.py")[1]
        self.stdout.write(f"Generated token {token} for user {username}")
