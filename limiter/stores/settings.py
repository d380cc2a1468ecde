"""Settings of the stores: where they are, how they are trusted, and how long a worker waits for them."""

from __future__ import annotations

from pydantic import BaseModel, Field, field_validator

from limiter.stores.servers import Certificates, Servers


class StoreEnv(BaseModel):
    """``LIMITER_REDIS_URL`` when the windows live apart from cache and broker. Files are in PEM format."""

    REDIS_URL: str = Field(description="second level cache, change bell, Celery, Channels and the limiter's store")
    REDIS_CA_FILE: str = Field("", description="empty: the system's authorities, for rediss:// URLs")
    REDIS_CERT_FILE: str = ""
    REDIS_KEY_FILE: str = ""
    REDIS_KEY_PREFIX: str = Field(
        "", max_length=32, pattern=r"^[A-Za-z0-9._-]*$", description="starts every key, so that deployments can share"
    )

    LIMITER_REDIS_URL: str = ""
    LIMITER_REDIS_CLUSTER: bool = False
    LIMITER_POOL_SIZE: int = Field(4, ge=1, le=256, description="connections per worker; each is pipelined")
    LIMITER_CONNECT_TIMEOUT_MS: int = Field(200, ge=1, le=10_000)
    LIMITER_SOCKET_TIMEOUT_MS: int = Field(250, ge=1, le=10_000)
    LIMITER_MAX_IN_FLIGHT: int = Field(4096, ge=1, description="commands waiting for the store, per worker")

    @property
    def redis_certificates(self) -> Certificates:
        return Certificates(self.REDIS_CA_FILE, self.REDIS_CERT_FILE, self.REDIS_KEY_FILE)

    @field_validator("REDIS_URL", "LIMITER_REDIS_URL")
    @classmethod
    def _servers(cls, value: str) -> str:
        Servers.of(value)
        return value
