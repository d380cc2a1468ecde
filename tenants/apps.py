"""App configuration."""

from django.apps import AppConfig
from django.conf import settings

from stores import prefix


class TenantsConfig(AppConfig):
    name = "tenants"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from django.core.checks import Tags, register

        from tenants import checks, receivers

        register(checks.same_but_for_capitals, Tags.database)
        prefix.use(settings.KEY_PREFIX)
        receivers.connect()
