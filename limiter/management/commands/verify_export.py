"""`manage.py verify_export`: is the file the one that was signed?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from limiter.reports import manifest


class Command(BaseCommand):
    help = "Check a file against its signed manifest, without database or network; exit with 1 when it was altered."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--manifest", type=Path, help="Default: the file's name with .manifest.json added.")
        parser.add_argument("--public-key", help="Base64. Default: this platform's.")

    def handle(self, *args: Any, **options: Any) -> None:
        path: Path = options["file"]
        beside = options["manifest"] or path.with_name(path.name + ".manifest.json")
        try:
            told = json.loads(beside.read_text())
            manifest.verify(path, told, public=options["public_key"] or manifest.public_key())
        except (OSError, ValueError) as error:
            raise CommandError(f"Cannot read: {error}") from None
        except manifest.ManifestBroken as broken:
            raise CommandError(f"BROKEN: {broken}") from None
        self.stdout.write(f"{path.name}: {told['rows']:,} rows, as signed for {told['requested_by']}.")
