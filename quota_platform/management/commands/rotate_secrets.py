"""``rotate_secrets``: seal every stored secret with the newest key, so that older keys can be dropped."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from quota_platform.base import rotation


class Command(BaseCommand):
    help = "Seal every stored secret with the first of SECRETS_KEYS; exits 1 when one could not be opened."

    def handle(self, *args: Any, **options: Any) -> None:
        rotated = rotation.rotate_secrets()
        self.stdout.write(f"{rotated.resealed} secrets now sealed with the newest key")
        if rotated.unreadable:
            raise CommandError(
                "These cannot be opened with any of SECRETS_KEYS and were left as they are: "
                + "; ".join(rotated.unreadable)
                + ". Keep their old key in SECRETS_KEYS, or enter them again in the admin."
            )
