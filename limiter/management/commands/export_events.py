"""`manage.py export_events`: a part of the record into a file, with its signed manifest beside it."""

from __future__ import annotations

import json
from datetime import UTC, tzinfo
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.dateparse import parse_datetime

from limiter.reports import build, selection, sources
from limiter.reports.models import Export
from quota_platform.base.time_zones import UTC_NAME, zone_or_utc


class Command(BaseCommand):
    help = "Write throttle events (or another kind) to a file, with its signed manifest beside it."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--since", required=True, help="From this time on, for instance 2030-05-01T00:00:00Z.")
        parser.add_argument("--until", required=True, help="Before this time.")
        zone_help = "Of the times in the file, and of those above that name no offset; for instance Europe/Berlin."
        parser.add_argument("--time-zone", default=UTC_NAME, help=zone_help)
        parser.add_argument("--kind", choices=Export.Kind.values, default=Export.Kind.EVENTS)
        parser.add_argument("--format", choices=Export.Format.values, default=Export.Format.CSV)
        for name in ("tenant", "action", "policy"):
            parser.add_argument(f"--{name}", action="append", default=[], help="May be given several times.")

    def handle(self, *args: Any, **options: Any) -> None:
        zone = zone_or_utc(options["time_zone"])
        export = Export(
            kind=options["kind"],
            format=options["format"],
            tenants=options["tenant"],
            actions=options["action"],
            policies=options["policy"],
            time_zone=options["time_zone"],
            since=_moment(options["since"], zone),
            until=_moment(options["until"], zone),
        )
        try:
            selection.check(export)
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from None
        path, chosen = options["file"], selection.of(export)
        count = build.write(path, chosen, format=export.format, rows=sources.rows(chosen))
        facts = build.signed(path, chosen, count=count, format=export.format, who="manage.py export_events")
        path.with_name(path.name + ".manifest.json").write_text(json.dumps(facts, indent=1, sort_keys=True) + "\n")
        self.stdout.write(f"{count:,} rows in {path.name}.")


def _moment(text: str, zone: tzinfo) -> Any:
    try:
        moment = parse_datetime(text)
    except ValueError:
        moment = None
    if moment is None:
        raise CommandError(f"{text!r} is not a time; write it as 2030-05-01T00:00:00Z.")
    return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)
