"""Settings of deciding while the store is unavailable."""

from __future__ import annotations

from pydantic import BaseModel, Field


class OutageEnv(BaseModel):
    """The size of a worker's share, and how often it probes the store."""

    LIMITER_EXPECTED_PROCESSES: int = Field(0, ge=0, le=10_000, description="web processes there may be; 0: unknown")
    LIMITER_PROBE_MS: int = Field(500, ge=10, description="how long a worker decides alone before it probes the store")
