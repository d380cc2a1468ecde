"""Settings of the record: how long it is kept, and what its anchors are signed with."""

from __future__ import annotations

from pydantic import BaseModel, Field, SecretStr


class RecordEnv(BaseModel):
    """``0`` keeps rows for good."""

    USAGE_MINUTES_KEPT_DAYS: int = Field(14, ge=0)
    USAGE_HOURS_KEPT_DAYS: int = Field(400, ge=0)
    USAGE_DAYS_KEPT_DAYS: int = Field(0, ge=0)
    EVENTS_KEPT_DAYS: int = Field(0, ge=0, description="throttle events")
    AUDIT_KEY: SecretStr = Field(SecretStr(""), description="signs the daily anchors; empty: SECRET_KEY does")
