"""Settings of the web processes: how many there are, how they stop, and what callers may send and hold."""

from __future__ import annotations

from pydantic import Field

from quota_platform.base.settings import SharedEnv


class ServerEnv(SharedEnv):
    """What a caller may send and hold is checked before anything is known of it."""

    WEB_WORKERS: int = Field(2, ge=1, le=128, description="web processes for calls of one machine or container")
    PAGES_WORKERS: int = Field(1, ge=0, le=16, description="besides them for pages; 0: those for calls serve pages too")
    DRAIN_SECONDS: float = Field(15, ge=0, le=3600, description="from SIGTERM until the listener closes")
    STOP_GRACE_SECONDS: int = Field(310, ge=0, le=3600, description="from then on, for calls that still run")

    MAX_BODY_BYTES: int = Field(262_144, ge=0, description="of a call to the gateway")
    MAX_PAGE_BODY_BYTES: int = Field(1_048_576, ge=0, description="of a request to any other address")
    MAX_ARRIVING_BYTES: int = Field(67_108_864, ge=1, description="of all bodies that are arriving, per process")
    HEAD_TIMEOUT_MS: int = Field(10_000, ge=1)
    BODY_TIMEOUT_MS: int = Field(10_000, ge=1)
    KEEP_ALIVE_TIMEOUT_MS: int = Field(75_000, ge=1)
    MAX_CONNECTIONS: int = Field(8192, ge=1, description="per web process; at most half of the files it may open")
    MAX_CONNECTIONS_PER_ADDRESS: int = Field(1024, ge=1, description="per web process; not of TRUSTED_PROXIES")
