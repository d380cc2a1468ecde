"""What a person may say to `make run`, checked before anything starts."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from quota_platform.env import BASE_DIR, MissingSettings, named


class DemoSettings(BaseSettings):
    """Environment variables only: a ``.env`` made for a real deployment must not move the demo to its servers."""

    model_config = SettingsConfigDict(extra="ignore")

    PORT: int = Field(8000, ge=1, le=65_535, description="of the web server, on 127.0.0.1")
    WEB_WORKERS: int = Field(2, ge=1, le=128, description="web processes for calls")
    PAGES_WORKERS: int = Field(1, ge=0, le=16, description="web processes for pages")
    DEMO_TRAFFIC: bool = Field(True, description="0: no calls but your own")
    REDIS_URL: str = Field("", description="empty: an embedded Valkey with its data in VAR_DIR")
    DATABASE_URL: str = Field("", description="empty: SQLite in VAR_DIR")
    VALKEY_SERVER: str = Field("", description="empty: the server that ships; read by quota_platform.embedded")
    VAR_DIR: Path = Field(BASE_DIR / "var", description="data, logs and generated secrets")


def load() -> DemoSettings:
    """Read them, or stop with one message that names every wrong one."""
    try:
        settings = DemoSettings()
    except ValidationError as error:
        raise MissingSettings(f"The demo cannot start with these settings:\n{named(error)}") from None
    return settings.model_copy(update={"VAR_DIR": settings.VAR_DIR.resolve()})


def described() -> str:
    """A line for each: its name, its meaning and its default."""
    fields = DemoSettings.model_fields.items()
    return "\n".join(
        f"  {name:<14} {field.description} ({field.default})".removesuffix(" ()") for name, field in fields
    )
