"""Settings of alerts."""

from __future__ import annotations

from pydantic import BaseModel, Field

from quota_platform.base.settings import Names


class AlertEnv(BaseModel):
    """How long they are kept, and where they may be posted."""

    ALERTS_KEPT_DAYS: int = Field(400, ge=0, description="after their end; 0 keeps them for good")
    ALERT_HOOK_HOSTS: Names = Field([], description="names alerts may be posted under; host:port may be private")
