"""Loaded by pytest before Django: the settings a test run needs, and its own embedded Valkey.

Every pytest-xdist worker is a process of its own and gets a server of its own. ``TEST_DATABASE_URL`` runs the suite on
another database.
"""

from __future__ import annotations

import atexit
import gc
import os
import secrets
import shutil
import tempfile
from pathlib import Path

from cryptography.fernet import Fernet

from quota_platform.embedded import start_valkey

gc.set_threshold(20_000, 20, 20)
"""A run holds some hundred thousand objects until its end. To go through them as often as a small program does took a
quarter of the time of collecting tests, and a fifth of that of rendering pages."""

DIRECTORY = Path(tempfile.mkdtemp(prefix="quota-tests-"))
VALKEY = start_valkey(directory=DIRECTORY / "valkey")

os.environ.update(
    SECRET_KEY=secrets.token_urlsafe(48),
    SECRETS_KEYS=Fernet.generate_key().decode(),
    DATABASE_URL=os.environ.get("TEST_DATABASE_URL", f"sqlite:///{DIRECTORY}/db.sqlite3"),
    REDIS_URL=VALKEY.url,
    VAR_DIR=str(DIRECTORY),
    ALLOWED_HOSTS="testserver,localhost,127.0.0.1",
    METRICS_TOKEN=secrets.token_urlsafe(16),
    LOG_LEVEL="WARNING",
    DJANGO_SETTINGS_MODULE="quota_platform.settings",
)
os.environ.setdefault("SANDBOX_HOSTS", "127.0.0.1:8801")


@atexit.register
def _clean_up() -> None:
    VALKEY.kill()
    shutil.rmtree(DIRECTORY, ignore_errors=True)
