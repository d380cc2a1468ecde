"""The record in the admin."""

from limiter.record.admin import event, record

__all__ = ["event", "record"]
