"""App configuration."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class TenantsConfig(AppConfig):
    name = "tenants"
    verbose_name = _("Tenants")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from django.core.checks import Tags, register

        from quota_platform.base import features
        from tenants import checks, receivers
        from tenants.feature import FEATURE

        features.install(FEATURE)
        register(checks.same_but_for_capitals, Tags.database)
        receivers.connect()
