"""App configuration."""

from django.apps import AppConfig
from django.conf import settings

from limiter.stores import prefix


class LimiterConfig(AppConfig):
    name = "limiter"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from django.core.checks import register

        from limiter import groups, receivers, scope
        from limiter.record import edits, formats

        register(formats.check, "models")
        prefix.use(settings.KEY_PREFIX)
        receivers.connect()
        edits.connect()
        scope.connect()
        groups.connect(self)
