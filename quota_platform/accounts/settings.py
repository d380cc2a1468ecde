"""Settings of accounts: how many wrong passwords are accepted."""

from __future__ import annotations

from pydantic import BaseModel, Field


class AccountEnv(BaseModel):
    """Signing in."""

    SIGN_IN_FAILURES: int = Field(5, ge=1, le=1_000, description="wrong passwords per account and address")
    SIGN_IN_FAILURES_PER_ADDRESS: int = Field(50, ge=1, le=100_000, description="the same of all accounts together")
