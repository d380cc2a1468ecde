"""App configuration."""

from django.apps import AppConfig


class LimiterConfig(AppConfig):
    name = "limiter"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from limiter import receivers
        from limiter.record import edits

        receivers.connect()
        edits.connect()
