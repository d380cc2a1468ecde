"""Makes the policies of a preset, or lists the presets."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from limiter.policies import presets


class Command(BaseCommand):
    help = "Make the policies of a preset; without a name, list the presets. They apply to nobody until assigned."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("preset", nargs="?", choices=sorted(presets.PRESETS))
        parser.add_argument("--reason", default="", help="kept in the history of the policies")

    def handle(self, *args: Any, preset: str | None, reason: str, **options: Any) -> None:
        if preset is None:
            for each in presets.PRESETS.values():
                self.stdout.write(f"{each.name}: {each.label} ({each.source})")
            return
        try:
            made = presets.make(presets.PRESETS[preset], reason=reason)
        except presets.NamesTaken as error:
            raise CommandError(" ".join(error.messages)) from None
        for policy in made:
            self.stdout.write(f"made policy {policy.pk}: {policy.name}")
