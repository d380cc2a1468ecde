"""A place of their own for the files of each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings
from django.test import override_settings


@pytest.fixture(autouse=True)
def stored(tmp_path: Path) -> Iterator[Path]:
    """The directory that exports are stored in."""
    place = {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": tmp_path / "exports"}}
    with override_settings(STORAGES={**settings.STORAGES, "exports": place}):
        yield tmp_path / "exports"
