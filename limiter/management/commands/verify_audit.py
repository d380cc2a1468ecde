"""`manage.py verify_audit`: is the record what was written?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from limiter.record.anchor_files import AnchorBroken
from limiter.record.anchors import directory
from limiter.record.verify import Broken, verify


class Command(BaseCommand):
    help = "Check the chains of the record and the daily anchors; exit with 1 at the first break, naming it."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--tenant", help="Only this tenant's chain; '' is the platform's own.")
        parser.add_argument("--anchors", type=Path, help="Directory of the anchors, for instance of a copy.")
        parser.epilog = "With --anchors-only the copy alone is checked, without settings or database (docs/record.md)."

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            checked = verify(tenant_id=options["tenant"], anchored_in=options["anchors"])
        except (Broken, AnchorBroken) as broken:
            raise CommandError(f"BROKEN: {broken}") from None
        self.stdout.write(f"Checked {checked}: nothing was altered.")
        if not checked.anchors:
            where = options["anchors"] or directory()
            self.stdout.write(f"There are no anchors in {where}: a cut tail would not show.")
