"""Settings of mailing reports."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field, SecretStr

from quota_platform.base.settings import Names


class ReportEnv(BaseModel):
    """The mail server, and who may be written to."""

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
