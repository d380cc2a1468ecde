"""`manage.py prune_events`: take out the events that are older than they are kept, or say which those are."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from limiter.record import retention


class Command(BaseCommand):
    help = "Take out throttle events older than EVENTS_KEPT_DAYS, as the hourly task does; --dry-run only says which."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="Change nothing.")

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.ENV.EVENTS_KEPT_DAYS:
            self.stdout.write("EVENTS_KEPT_DAYS is 0: events are kept for good.")
        elif options["dry_run"]:
            cuts = list(retention.due())
            for cut in cuts:
                data = f"{cut.rows:,} events ({cut.refusals:,} refusals) up to {cut.until}"
                self.stdout.write(f"{cut.tenant_id}: {data} would be taken out")
            self.stdout.write(f"{sum(cut.rows for cut in cuts):,} events of {len(cuts)} tenants; nothing was changed.")
        else:
            self.stdout.write(f"{retention.prune():,} events taken out; the audit entries say which.")
