"""`manage.py create_api_token ana --name "nightly report"`: a token for /api/; it alone goes to standard output."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from tenants.models import ApiToken


class Command(BaseCommand):
    help = "Make a token for the management API and print it, once: only its hash is stored."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("username", help="Its owner: a person, or the account of a program.")
        parser.add_argument("--name", default="command line", help="Who or what uses it.")
        parser.add_argument("--scope", choices=ApiToken.Scope.values, default=ApiToken.Scope.ALL.value)
        parser.add_argument("--days", type=int, default=90, help="Until it expires; 0: never.")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["days"] < 0:
            raise CommandError("--days: give a number of days, or 0 for a token that never expires.")
        people = get_user_model()._default_manager
        owner = people.filter(username=options["username"]).first()
        if owner is None:
            raise CommandError(f"There is no user {options['username']!r}.")
        ends = timezone.now() + timedelta(days=options["days"]) if options["days"] else None
        given = {"name": options["name"], "scope": options["scope"], "expires_at": ends}
        self.stdout.write(ApiToken.objects.issue(user=owner, created_by="manage.py", **given)[1])
