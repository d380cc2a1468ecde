"""Every setting that comes from outside, typed, with its default, checked in one go at start."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from limiter.stores.servers import Certificates, Servers
from quota_platform.base.addresses import UNIX, Networks

BASE_DIR = Path(__file__).resolve().parent.parent
SECRETS = Path("/run/secrets")
Names = Annotated[list[str], NoDecode]
_NETWORKS = ("TRUSTED_PROXIES", "METRICS_NETWORKS")
_LISTS = ("ALLOWED_HOSTS", "CSRF_TRUSTED_ORIGINS", *_NETWORKS, "REPORT_MAIL_DOMAINS", "ALERT_HOOK_HOSTS")

_DATABASES = ("postgresql://", "postgres://", "sqlite://")


class MissingSettings(SystemExit):
    """The start is refused; the message names every setting that is missing or wrong, at once."""


class Env(BaseSettings):
    """Environment variables, or files of the same name in ``/run/secrets``. No prefix."""

    model_config = SettingsConfigDict(env_file=".env", extra="ignore")

    # Required: there is no safe default for these.
    SECRET_KEY: SecretStr = Field(min_length=32)
    SECRETS_KEYS: SecretStr = Field(description="Fernet keys, comma separated, newest first; seal upstream secrets")
    DATABASE_URL: str
    REDIS_URL: str = Field(description="second level cache, change bell, Celery, Channels and the limiter's store")

    # Files in PEM format: whom to trust, and who we are.
    REDIS_CA_FILE: str = Field("", description="empty: the system's authorities, for rediss:// URLs")
    REDIS_CERT_FILE: str = ""
    REDIS_KEY_FILE: str = ""
    DATABASE_CA_FILE: str = Field("", description="set: the server's certificate and name are verified")
    DATABASE_CERT_FILE: str = ""
    DATABASE_KEY_FILE: str = ""
    REDIS_KEY_PREFIX: str = Field(
        "", max_length=32, pattern=r"^[A-Za-z0-9._-]*$", description="starts every key, so that deployments can share"
    )

    SIGN_IN_FAILURES: int = Field(5, ge=1, le=1_000, description="wrong passwords per account and address")
    SIGN_IN_FAILURES_PER_ADDRESS: int = Field(50, ge=1, le=100_000, description="the same of all accounts together")
    DEBUG: bool = False
    ALLOWED_HOSTS: Names = ["localhost", "127.0.0.1", "[::1]"]
    CSRF_TRUSTED_ORIGINS: Names = []
    BEHIND_TLS: bool = Field(False, description="cookies are Secure, HTTP is redirected, HSTS is sent")
    TRUSTED_PROXIES: Names = Field([], description="networks whose X-Forwarded-* is believed; unix: unix sockets")
    VAR_DIR: Path = BASE_DIR / "var"
    LOG_LEVEL: Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"] = "INFO"

    # What a caller may send and hold before anything is known of it.
    MAX_BODY_BYTES: int = Field(262_144, ge=0, description="of a call to the gateway")
    MAX_PAGE_BODY_BYTES: int = Field(1_048_576, ge=0, description="of a request to any other address")
    MAX_ARRIVING_BYTES: int = Field(67_108_864, ge=1, description="of all bodies that are arriving, per process")
    HEAD_TIMEOUT_MS: int = Field(10_000, ge=1)
    BODY_TIMEOUT_MS: int = Field(10_000, ge=1)
    KEEP_ALIVE_TIMEOUT_MS: int = Field(75_000, ge=1)
    MAX_CONNECTIONS: int = Field(8192, ge=1, description="per web process; at most half of the files it may open")
    MAX_CONNECTIONS_PER_ADDRESS: int = Field(1024, ge=1, description="per web process; not of TRUSTED_PROXIES")

    # The limiter's store. Its own URL when the windows live apart from cache and broker.
    LIMITER_REDIS_URL: str = ""
    LIMITER_REDIS_CLUSTER: bool = False
    LIMITER_POOL_SIZE: int = Field(4, ge=1, le=256, description="connections per worker; each is pipelined")
    LIMITER_CONNECT_TIMEOUT_MS: int = Field(200, ge=1, le=10_000)
    LIMITER_SOCKET_TIMEOUT_MS: int = Field(250, ge=1, le=10_000)
    LIMITER_MAX_IN_FLIGHT: int = Field(4096, ge=1, description="commands waiting for the store, per worker")
    LIMITER_EXPECTED_PROCESSES: int = Field(0, ge=0, le=10_000, description="web processes there may be; 0: unknown")
    LIMITER_PROBE_MS: int = Field(500, ge=10, description="how long a worker decides alone before it asks again")

    # The gateway.
    WEB_WORKERS: int = Field(2, ge=1, le=128, description="web processes of one machine or container")
    DRAIN_SECONDS: float = Field(15, ge=0, le=3600, description="from SIGTERM until the listener closes")
    STOP_GRACE_SECONDS: int = Field(310, ge=0, le=3600, description="from then on, for calls that still run")
    UPSTREAM_POOL_SIZE: int = Field(4096, ge=1, description="open connections to upstreams, per worker")
    LEGACY_RATELIMIT_HEADERS: bool = False
    SNAPSHOT_TENANTS: int = Field(10_000, ge=1, description="tenants a worker keeps compiled")
    MAX_FAILED_KEYS_PER_MINUTE: int = Field(60, ge=1, description="from one address or IPv6 /64, per worker")
    METRICS_TOKEN: SecretStr = SecretStr("")
    METRICS_NETWORKS: Names = []

    # The record.
    USAGE_MINUTES_KEPT_DAYS: int = Field(14, ge=0, description="0 keeps them for good; so for the next two")
    USAGE_HOURS_KEPT_DAYS: int = Field(400, ge=0)
    USAGE_DAYS_KEPT_DAYS: int = Field(0, ge=0)
    EVENTS_KEPT_DAYS: int = Field(0, ge=0, description="throttle events; 0 keeps them for good")
    ALERTS_KEPT_DAYS: int = Field(400, ge=0, description="after their end; 0 keeps them for good")
    AUDIT_KEY: SecretStr = Field(SecretStr(""), description="signs the daily anchors; empty: SECRET_KEY does")

    # What is sent to people.
    EMAIL_HOST: str = Field("", description="the mail server; empty: reports are not mailed")
    EMAIL_PORT: int = Field(587, ge=1, le=65_535)
    EMAIL_USER: str = ""
    EMAIL_PASSWORD: SecretStr = SecretStr("")
    EMAIL_TLS: Literal["starttls", "tls", "none"] = "starttls"
    EMAIL_FROM: str = Field("quota@localhost", description="who reports come from")
    REPORT_MAIL_DOMAINS: Names = Field([], description="domains that reports may be mailed to")
    REPORT_MAIL_MOST_KB: int = Field(
        5_000, ge=0, description="a larger file is not attached, the mail says where it is"
    )
    PUBLIC_URL: str = Field("", description="where people reach the platform; for links in what it sends")
    ALERT_HOOK_HOSTS: Names = Field([], description="names alerts may be posted under; host:port may be private")

    SANDBOX_HOSTS: Names = Field([], description="host:port pairs a sandbox connection may reach")

    @property
    def redis_certificates(self) -> Certificates:
        return Certificates(self.REDIS_CA_FILE, self.REDIS_CERT_FILE, self.REDIS_KEY_FILE)

    @property
    def database_certificates(self) -> Certificates:
        return Certificates(self.DATABASE_CA_FILE, self.DATABASE_CERT_FILE, self.DATABASE_KEY_FILE)

    @field_validator("REDIS_URL", "LIMITER_REDIS_URL")
    @classmethod
    def _servers(cls, value: str) -> str:
        Servers.of(value)
        return value

    @field_validator("SANDBOX_HOSTS", *_LISTS, mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value

    @field_validator("LOG_LEVEL", mode="before")
    @classmethod
    def _in_any_case(cls, value: object) -> object:
        return value.upper() if isinstance(value, str) else value

    @field_validator("DATABASE_URL")
    @classmethod
    def _is_a_known_database(cls, value: str) -> str:
        if not value.startswith(_DATABASES):
            raise ValueError(f"Start it with one of {', '.join(_DATABASES)}")
        return value

    @field_validator(*_NETWORKS)
    @classmethod
    def _are_networks(cls, value: list[str]) -> list[str]:
        Networks(value)
        return value

    @field_validator("METRICS_NETWORKS")
    @classmethod
    def _can_be_scraped_from(cls, value: list[str]) -> list[str]:
        if UNIX in value:
            raise ValueError("a unix socket is no network; use METRICS_TOKEN there")
        return value

    @model_validator(mode="after")
    def _tls_ends_at_a_known_proxy(self) -> Env:
        if self.BEHIND_TLS and not self.TRUSTED_PROXIES:
            raise ValueError(
                "BEHIND_TLS needs TRUSTED_PROXIES: the networks of the proxies whose X-Forwarded-Proto is believed;"
                " from any other peer it is not, and every page would redirect to itself"
            )
        return self


class _Signing(BaseSettings):
    """What files are signed with, for commands that need no other setting."""

    model_config = Env.model_config

    SECRET_KEY: SecretStr = SecretStr("")
    AUDIT_KEY: SecretStr = SecretStr("")


def signing_secret() -> str:
    """The secret that signatures are derived from, where it is at hand; empty elsewhere."""
    told = _Signing()
    return told.AUDIT_KEY.get_secret_value() or told.SECRET_KEY.get_secret_value()


def named(error: ValidationError) -> str:
    """The settings that are missing or wrong, a line each: what was wanted, never the value."""
    return "\n".join(_line(each) for each in error.errors(include_input=False))


def _line(error: ErrorDetails) -> str:
    wanted = "Input should be true or false" if error["type"] == "bool_parsing" else error["msg"]
    return f"  {'.'.join(map(str, error['loc'])) or 'together'}: {wanted}"


def load(secrets: Path = SECRETS) -> Env:
    """Read the environment, and files in ``secrets``, or stop with one message that names all missing or wrong."""
    try:
        return Env(_secrets_dir=secrets if secrets.is_dir() else None)  # one that is missing is no mistake
    except ValidationError as error:
        raise MissingSettings(
            "Settings are missing or wrong; set them in the environment or in .env"
            " (docs/settings.md; `make run` makes its own):\n" + named(error)
        ) from None
