"""App configuration: the last of all apps, so that every feature is installed when it is ready."""

from __future__ import annotations

from django.apps import AppConfig, apps


class PlatformConfig(AppConfig):
    name = "quota_platform"

    def ready(self) -> None:
        from quota_platform import beat
        from quota_platform.base import groups
        from quota_platform.celery import app

        beat.configure(app)
        groups.connect(apps.get_app_config("limiter"))
