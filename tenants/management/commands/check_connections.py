"""Checks every stored connection by the rules of its form; fails when one that is switched on cannot work."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError

from tenants import completeness
from tenants.models import Connection


class Command(BaseCommand):
    help = "Ask of every stored connection what its form asks. Exit status 1 when one that is switched on cannot work."

    def handle(self, *args: Any, **options: Any) -> None:
        broken = 0
        for row in Connection.objects.order_by("name"):
            problems = _problems(row)
            broken += bool(problems and row.enabled)
            self.stdout.write(
                f"{row.name} ({row.preset}{'' if row.enabled else ', off'}): {'; '.join(problems) or 'ok'}"
            )
        if broken:
            raise CommandError(f"{broken} connections cannot work; their calls get a 502.")


def _problems(row: Connection) -> list[str]:
    lacks = [f"the {completeness.SECRETS[name]} is missing" for name in completeness.missing_secrets(row)]
    try:
        row.full_clean()
    except ValidationError as error:
        lacks += [f"{name}: {' '.join(messages)}" for name, messages in error.message_dict.items()]
    return lacks
