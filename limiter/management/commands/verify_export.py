"""`manage.py verify_export`: is the file the one that was signed? Called by itself it runs without any setting."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from limiter import offline
from limiter.record import signing


class Command(BaseCommand):
    help = "Check a file against its signed manifest, without database or network; exit with 1 when it was altered."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        offline.add_export_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            data = offline.verify_export(
                options["file"], beside=options["manifest"], public=options["public_key"], secret=signing.secret()
            )
        except offline.NotVerified as error:
            raise CommandError(str(error)) from None
        self.stdout.write(data)
