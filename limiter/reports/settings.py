"""Settings of mailing reports."""

from __future__ import annotations

from pydantic import BaseModel, Field


class ReportEnv(BaseModel):
    """The files that are attached."""

    REPORT_MAIL_MOST_KB: int = Field(
        5_000, ge=0, description="a larger file is not attached, the mail says where it is"
    )
