"""Alerts, the hooks that they are posted to, and the memory of other events."""

from limiter.alerts.models.alert import Alert
from limiter.alerts.models.hook import AlertDelivery, AlertHook
from limiter.alerts.models.memory import EventMark, OpenEvent
from limiter.alerts.models.mute import Mute

__all__ = ["Alert", "AlertDelivery", "AlertHook", "EventMark", "Mute", "OpenEvent"]
