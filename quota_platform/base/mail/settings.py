"""Settings of the mail server."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field, SecretStr

from quota_platform.base.settings import Names


class MailEnv(BaseModel):
    """The mail server, and who may be written to."""

    EMAIL_HOST: str = Field("", description="the mail server; empty: nothing is mailed")
    EMAIL_PORT: int = Field(587, ge=1, le=65_535)
    EMAIL_USER: str = ""
    EMAIL_PASSWORD: SecretStr = SecretStr("")
    EMAIL_TLS: Literal["starttls", "tls", "none"] = "starttls"
    EMAIL_FROM: str = Field("quota@localhost", description="the sender of mails")
    REPORT_MAIL_DOMAINS: Names = Field([], description="domains that reports and alerts may be mailed to")
