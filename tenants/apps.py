"""App configuration."""

from django.apps import AppConfig


class TenantsConfig(AppConfig):
    name = "tenants"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from django.core.checks import Tags, register

        from tenants import checks, receivers

        register(checks.same_but_for_capitals, Tags.database)
        receivers.connect()
