"""Settings for tools that only read the code (mypy, makemigrations --check): no server, no secret, no file."""

import os

os.environ.setdefault("SECRET_KEY", "for-static-checks-only-never-for-a-server-0000")
os.environ.setdefault("SECRETS_KEYS", "MDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDA=")
os.environ.setdefault("DATABASE_URL", "sqlite:///:memory:")
os.environ.setdefault("REDIS_URL", "redis://127.0.0.1:1/0")

from quota_platform.settings import *  # noqa: F403
