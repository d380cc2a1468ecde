"""Settings of the record of demand: how long it is kept, by the second and by the minute."""

from __future__ import annotations

from pydantic import BaseModel, Field


class DemandEnv(BaseModel):
    """``0`` keeps it for good."""

    DEMAND_SECONDS_KEPT_DAYS: int = Field(14, ge=0, description="then by the minute")
    DEMAND_MINUTES_KEPT_DAYS: int = Field(400, ge=0)
