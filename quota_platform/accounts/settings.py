"""Settings of accounts: how many wrong passwords are accepted, and who needs a second factor."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from quota_platform.base.settings import Names


class AccountEnv(BaseModel):
    """Signing in."""

    SIGN_IN_FAILURES: int = Field(5, ge=1, le=1_000, description="wrong passwords per account and address")
    SIGN_IN_FAILURES_PER_ADDRESS: int = Field(50, ge=1, le=100_000, description="the same of all accounts together")
    SECOND_FACTOR_REQUIRED: Literal["nobody", "staff", "everybody"] = "nobody"
    SECOND_FACTOR_GROUPS: Names = Field([], description="groups whose members need one, too")
