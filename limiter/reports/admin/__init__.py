"""Exports and saved reports in the admin."""

from limiter.reports.admin import export, schedule

schedule.register()

__all__ = ["export", "schedule"]
