"""The declaration of accounts: their tasks."""

from __future__ import annotations

from quota_platform.base.features import Feature

FEATURE = Feature(package="quota_platform.accounts")
