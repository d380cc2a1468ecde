"""App configuration."""

from django.apps import AppConfig


class LimiterConfig(AppConfig):
    name = "limiter"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from django.core.checks import register

        from limiter import groups, receivers, scope
        from limiter.record import edits, formats

        register(formats.check, "models")
        receivers.connect()
        edits.connect()
        scope.connect()
        groups.connect(self)
