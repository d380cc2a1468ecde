"""Settings of what a worker keeps in memory."""

from __future__ import annotations

from pydantic import BaseModel, Field


class LiveEnv(BaseModel):
    """Others are loaded on first use."""

    SNAPSHOT_TENANTS: int = Field(10_000, ge=1, description="tenants a worker keeps compiled")
