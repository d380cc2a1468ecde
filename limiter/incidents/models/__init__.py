"""The rows of incidents."""

from limiter.incidents.models.entry import TeamEntry
from limiter.incidents.models.incident import EventCursor, Incident

__all__ = ["EventCursor", "Incident", "TeamEntry"]
