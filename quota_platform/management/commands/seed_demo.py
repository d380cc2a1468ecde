"""``seed_demo``: the demo's tenants, policies, keys and people, for `make run` and for trying things by hand."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from quota_platform.demo import environment, seeding


class Command(BaseCommand):
    help = "Make the demo's rows where they are missing; run it as often as you like."

    def handle(self, *args: Any, **options: Any) -> None:
        variables = environment.read(settings.ENV.VAR_DIR)
        if not variables:
            raise CommandError(f"{settings.ENV.VAR_DIR}/{environment.FILE} is not there; `make run` writes it.")
        self.stdout.write(str(seeding.seed(variables, var=settings.ENV.VAR_DIR)))
