"""Alerts and their hooks in the admin."""

from limiter.alerts.admin import alert, hook

hook.register()

__all__ = ["alert", "hook"]
