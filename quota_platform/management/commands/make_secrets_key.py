"""``make_secrets_key``: a key for SECRETS_KEYS, printed and kept nowhere."""

from __future__ import annotations

from typing import Any

from cryptography.fernet import Fernet
from django.core.management.base import BaseCommand


class Command(BaseCommand):
    help = "Print a new key for SECRETS_KEYS. Put it first in the list, keep the old ones, then run rotate_secrets."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(Fernet.generate_key().decode())
