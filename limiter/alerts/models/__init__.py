"""Alerts, and the hooks that they are posted to."""

from limiter.alerts.models.alert import Alert
from limiter.alerts.models.hook import AlertDelivery, AlertHook
from limiter.alerts.models.mute import Mute

__all__ = ["Alert", "AlertDelivery", "AlertHook", "Mute"]
