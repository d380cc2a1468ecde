"""`manage.py issue_key NAME --tenant acme`: an API key without a browser; its token alone goes to standard output."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction
from django.utils.dateparse import parse_datetime

from tenants.models import ApiKey, Tenant


class Command(BaseCommand):
    help = "Make an API key and print its token, once: it is not stored. A platform key is one without --tenant."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="Who or what uses it, for instance 'IVR production'.")
        parser.add_argument("--tenant", help="The ID of its tenant.")
        parser.add_argument(
            "--acts-for",
            action="append",
            default=[],
            metavar="TENANT",
            help="Platform keys: may be repeated.",
        )
        parser.add_argument(
            "--max-class",
            choices=ApiKey.MaxClass.values,
            default=ApiKey.MaxClass.CRITICAL.value,
            help="The highest class of its calls in shared limits. Default: critical, as each limit gives it.",
        )
        parser.add_argument("--expires", help="For instance 2030-05-01T00:00:00Z. Default: it does not expire.")

    def handle(self, *args: Any, **options: Any) -> None:
        if bool(options["tenant"]) == bool(options["acts_for"]):
            raise CommandError("Say whose key it is: --tenant ID, or, for a platform key, --acts-for ID.")
        try:
            key, token = _issue(options)
        except ValidationError as error:
            raise CommandError(
                "; ".join(f"{name}: {' '.join(data)}" for name, data in error.message_dict.items())
            ) from None
        self.stderr.write(f"{key}; this is the only time that its token is shown:")
        self.stdout.write(token)


@transaction.atomic
def _issue(options: dict[str, Any]) -> tuple[ApiKey, str]:
    tenant = _tenant(options["tenant"]) if options["tenant"] else None
    key, token = ApiKey.objects.issue(
        name=options["name"],
        tenant=tenant,
        created_by="manage.py issue_key",
        expires_at=_moment(options["expires"]),
        max_class=options["max_class"],
    )
    key.acts_for.set([_tenant(tenant_id) for tenant_id in options["acts_for"]])
    return key, token


def _tenant(tenant_id: str) -> Tenant:
    found = Tenant.objects.filter(tenant_id=tenant_id).first()
    if found is None:
        raise CommandError(f"There is no tenant {tenant_id!r:.70}.")
    return found


def _moment(text: str | None) -> Any:
    try:
        moment = parse_datetime(text) if text else None
    except ValueError:
        moment = None
    if text and (moment is None or moment.tzinfo is None):
        raise CommandError("--expires is not a time with its zone; write it as 2030-05-01T00:00:00Z.")
    return moment
