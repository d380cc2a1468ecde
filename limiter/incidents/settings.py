"""Settings of incidents."""

from __future__ import annotations

from pydantic import BaseModel, Field


class IncidentEnv(BaseModel):
    """How long they are kept."""

    INCIDENTS_KEPT_DAYS: int = Field(400, ge=0, description="after their end; 0 keeps them for good")
