"""Exports and saved reports."""

from limiter.reports.models.export import Export
from limiter.reports.models.schedule import ReportMail, ReportSchedule

__all__ = ["Export", "ReportMail", "ReportSchedule"]
