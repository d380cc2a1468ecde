"""Settings of accounts: wrong passwords, second factors, and the identity providers."""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, model_validator

from quota_platform.base.settings import Names, SharedEnv


class Mapped(BaseModel):
    """What members of a group of the identity provider get."""

    model_config = ConfigDict(extra="forbid")

    groups: list[str] = []
    tenants: list[str] = []
    staff: bool = False
    superuser: bool = False


def _safely_reached(value: str) -> str:
    """What comes over this connection is believed for that."""
    parts = urlsplit(value)
    if value and parts.scheme != "https" and parts.hostname not in ("localhost", "127.0.0.1", "::1"):
        raise ValueError("Start it with https://")
    return value


ProviderUrl = Annotated[str, AfterValidator(_safely_reached)]


class AccountEnv(SharedEnv):
    """Signing in."""

    SIGN_IN_FAILURES: int = Field(5, ge=1, le=1_000, description="wrong passwords per account and address")
    SIGN_IN_FAILURES_PER_ADDRESS: int = Field(50, ge=1, le=100_000, description="the same of all accounts together")
    SECOND_FACTOR_REQUIRED: Literal["nobody", "staff", "everybody"] = "nobody"
    SECOND_FACTOR_GROUPS: Names = Field([], description="groups whose members need one, too")

    SESSION_HOURS: int = Field(12, ge=1, le=720, description="how long after its sign-in a session ends")
    SESSION_IDLE_MINUTES: int = Field(120, ge=0, le=43_200, description="or after its last page; 0: never")
    WALLBOARD_GROUP: str = Field("Wallboard", description="the group of accounts for screens on a wall")
    WALLBOARD_DAYS: int = Field(30, ge=1, le=365, description="how long their sessions last")
    SERVICE_GROUP: str = Field("Service account", description="the group of accounts of programs: they never sign in")
    ACCOUNT_LINK_HOURS: int = Field(24, ge=1, le=168, description="how long the link of an invitation or reset works")

    OIDC_ISSUER: ProviderUrl = Field("", description="the identity provider; empty: none")
    OIDC_NAME: str = Field("Single sign-on", description="its name on the sign-in page")
    OIDC_CLIENT_ID: str = ""
    OIDC_CLIENT_SECRET: SecretStr = SecretStr("")
    OIDC_SCOPES: Names = ["openid", "profile", "email"]
    OIDC_GROUPS_CLAIM: str = "groups"
    OIDC_GROUPS: dict[str, Mapped] = Field({}, description="JSON: what members of its groups get")

    @model_validator(mode="after")
    def _provider_is_whole(self) -> AccountEnv:
        if self.OIDC_ISSUER and not (self.OIDC_CLIENT_ID and self.OIDC_GROUPS):
            raise ValueError("OIDC_ISSUER needs OIDC_CLIENT_ID, and OIDC_GROUPS: without a mapping nobody is let in")
        if self.OIDC_ISSUER and not self.PUBLIC_URL:
            raise ValueError("OIDC_ISSUER needs PUBLIC_URL: the address that the provider sends people back to")
        return self


class SamlEnv(SharedEnv):
    """Signing in through a SAML provider."""

    SAML_METADATA_URL: ProviderUrl = Field("", description="where the provider publishes its metadata")
    SAML_METADATA_FILE: str = Field("", description="or a file with it; both empty: none")
    SAML_NAME: str = Field("Single sign-on", description="its name on the sign-in page")
    SAML_ENTITY_ID: str = Field("", description="the platform's own; empty: the address of its metadata")
    SAML_PRIVATE_KEY: SecretStr = Field(SecretStr(""), description="PEM; signs requests, decrypts assertions")
    SAML_CERTIFICATE: str = Field("", description="PEM; belongs to the key, and is in the metadata")
    SAML_GROUPS_ATTRIBUTE: str = "groups"
    SAML_GROUPS: dict[str, Mapped] = Field({}, description="JSON: what members of its groups get")
    SAML_UNSOLICITED: bool = Field(False, description="the provider may begin a sign-in by itself")
    SAML_SINGLE_LOGOUT: bool = Field(True, description="signing out here signs out at the provider, too")

    @model_validator(mode="after")
    def _saml_is_whole(self) -> SamlEnv:
        if self.SAML_METADATA_URL and self.SAML_METADATA_FILE:
            raise ValueError("Set one of SAML_METADATA_URL and SAML_METADATA_FILE")
        if bool(self.SAML_PRIVATE_KEY.get_secret_value()) != bool(self.SAML_CERTIFICATE):
            raise ValueError("SAML_PRIVATE_KEY and SAML_CERTIFICATE need each other")
        is_used = self.SAML_METADATA_URL or self.SAML_METADATA_FILE
        if is_used and not (self.PUBLIC_URL and self.SAML_GROUPS):
            raise ValueError("SAML needs PUBLIC_URL, and SAML_GROUPS: without a mapping nobody is let in")
        return self
