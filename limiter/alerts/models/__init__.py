"""Alerts, and the hooks that are told of them."""

from limiter.alerts.models.alert import Alert
from limiter.alerts.models.hook import AlertDelivery, AlertHook

__all__ = ["Alert", "AlertDelivery", "AlertHook"]
