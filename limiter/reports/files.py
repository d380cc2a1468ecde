"""Where exported files lie: Django's storage ``exports``, or ``VAR_DIR/exports`` when none is set."""

from __future__ import annotations

from pathlib import Path

from django.conf import settings
from django.core.files.storage import FileSystemStorage, Storage, storages


def storage() -> Storage:
    """The storage; nothing serves it but the download, which asks for rights."""
    if "exports" in settings.STORAGES:
        return storages["exports"]
    return FileSystemStorage(location=Path(settings.ENV.VAR_DIR) / "exports", file_permissions_mode=0o600)
