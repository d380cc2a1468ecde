"""Settings of the gateway: headers, keys that are wrong, calls that wait, and who may read its metrics."""

from __future__ import annotations

from pydantic import BaseModel, Field, SecretStr, field_validator

from quota_platform.base.addresses import UNIX
from quota_platform.base.settings import NetworkNames


class GatewayEnv(BaseModel):
    """Of each web process."""

    LEGACY_RATELIMIT_HEADERS: bool = False
    MAX_FAILED_KEYS_PER_MINUTE: int = Field(60, ge=1, description="from one address or IPv6 /64, per worker")
    MAX_WAIT_SECONDS: int = Field(30, ge=0, le=300, description="a call waits for its turn at most; 0: none waits")
    MAX_WAITING_CALLS: int = Field(2000, ge=0, le=100_000, description="at a time, per worker")
    MAX_WAITING_CALLS_PER_KEY: int = Field(500, ge=0, le=100_000, description="at a time, per API key and worker")
    METRICS_TOKEN: SecretStr = SecretStr("")
    METRICS_NETWORKS: NetworkNames = []
    METRICS_MAX_TENANTS: int = Field(1_000, ge=0, le=100_000, description="named at /metrics, those with most calls")

    @field_validator("METRICS_NETWORKS")
    @classmethod
    def _can_be_scraped_from(cls, value: list[str]) -> list[str]:
        if UNIX in value:
            raise ValueError("a unix socket is no network; use METRICS_TOKEN there")
        return value
