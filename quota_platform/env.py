"""Every setting that comes from outside, typed, with its default, checked in one go at start.

Rooms declare their own in their module ``settings``; those of the platform itself stand here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, SettingsConfigDict

from limiter.alerts.settings import AlertEnv
from limiter.demand.settings import DemandEnv
from limiter.gateway.settings import GatewayEnv
from limiter.incidents.settings import IncidentEnv
from limiter.live.settings import LiveEnv
from limiter.outage.settings import OutageEnv
from limiter.record.settings import RecordEnv
from limiter.reports.settings import ReportEnv
from limiter.stores.servers import Certificates
from limiter.stores.settings import StoreEnv
from limiter.upstream.settings import UpstreamEnv
from quota_platform.accounts.settings import AccountEnv, SamlEnv
from quota_platform.base.mail.settings import MailEnv
from quota_platform.base.settings import BASE_DIR as BASE_DIR
from quota_platform.base.settings import Names
from quota_platform.server.settings import ServerEnv

SECRETS = Path("/run/secrets")
_DATABASES = ("postgresql://", "postgres://", "sqlite://")


class MissingSettings(SystemExit):
    """The start is refused; the message names every setting that is missing or wrong, at once."""


class Env(
    AccountEnv,
    SamlEnv,
    AlertEnv,
    IncidentEnv,
    ReportEnv,
    MailEnv,
    DemandEnv,
    RecordEnv,
    UpstreamEnv,
    LiveEnv,
    GatewayEnv,
    OutageEnv,
    StoreEnv,
    ServerEnv,
    BaseSettings,
):
    """Environment variables, or files of the same name in ``/run/secrets``. No prefix."""

    model_config = SettingsConfigDict(env_file=".env", extra="ignore")

    DATABASE_URL: str
    DATABASE_CA_FILE: str = Field("", description="set: the server's certificate and name are verified")
    DATABASE_CERT_FILE: str = ""
    DATABASE_KEY_FILE: str = ""

    DEBUG: bool = False
    ALLOWED_HOSTS: Names = ["localhost", "127.0.0.1", "[::1]"]
    CSRF_TRUSTED_ORIGINS: Names = []
    BEHIND_TLS: bool = Field(False, description="cookies are Secure, HTTP is redirected, HSTS is sent")
    LOG_LEVEL: Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"] = "INFO"

    @property
    def database_certificates(self) -> Certificates:
        return Certificates(self.DATABASE_CA_FILE, self.DATABASE_CERT_FILE, self.DATABASE_KEY_FILE)

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
    data = _Signing()
    return data.AUDIT_KEY.get_secret_value() or data.SECRET_KEY.get_secret_value()


def named(error: ValidationError) -> str:
    """The settings that are missing or wrong, a line each: the expected value, never the given one."""
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
