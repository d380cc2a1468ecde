"""Settings of the way to the upstreams."""

from __future__ import annotations

from pydantic import BaseModel, Field


class UpstreamEnv(BaseModel):
    """Of each web process."""

    UPSTREAM_POOL_SIZE: int = Field(4096, ge=1, description="open connections to upstreams, per worker")
