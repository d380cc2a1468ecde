"""Settings that every app reads, and the kinds of values that the rooms' settings share.

A room that has settings declares them in its module ``settings``, in a class without behaviour that imports no Django;
:class:`quota_platform.env.Env` composes these classes and reads all of them in one go.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, SecretStr
from pydantic_settings import NoDecode

from quota_platform.base.addresses import Networks

BASE_DIR = Path(__file__).resolve().parents[2]


def _split(value: object) -> object:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def _are_networks(value: list[str]) -> list[str]:
    Networks(value)
    return value


Names = Annotated[list[str], NoDecode, BeforeValidator(_split)]
"""Separated by commas."""
NetworkNames = Annotated[Names, AfterValidator(_are_networks)]
"""Networks as ``10.0.0.0/8``; ``unix`` for unix sockets."""


class SharedEnv(BaseModel):
    """What several apps need."""

    SECRET_KEY: SecretStr = Field(min_length=32)
    SECRETS_KEYS: SecretStr = Field(description="Fernet keys, comma separated, newest first; seal upstream secrets")
    VAR_DIR: Path = BASE_DIR / "var"
    PUBLIC_URL: str = Field("", description="where people reach the platform; for links in its messages")
    TRUSTED_PROXIES: NetworkNames = Field([], description="whose X-Forwarded-* is believed; unix: unix sockets")
    SANDBOX_HOSTS: Names = Field([], description="host:port pairs a sandbox connection may reach")
