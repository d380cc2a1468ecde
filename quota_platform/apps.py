"""App configuration: the last of all apps, so that every feature is installed when it is ready."""

from __future__ import annotations

from django.apps import AppConfig, apps

OURS = ("tenants", "limiter", "quota_platform")


class PlatformConfig(AppConfig):
    name = "quota_platform"

    def ready(self) -> None:
        from quota_platform import accounts, beat, rights
        from quota_platform.accounts.feature import FEATURE as ACCOUNTS
        from quota_platform.base import features, groups
        from quota_platform.base.models.translated import translate
        from quota_platform.celery import app

        beat.configure(app)
        translate(model for app in OURS for model in apps.get_app_config(app).get_models())
        groups.connect(apps.get_app_config("limiter"))
        accounts.connect()
        rights.name_people()
        features.install(ACCOUNTS)
