"""The declaration of accounts: their tasks, and the groups of accounts that are no person's."""

from __future__ import annotations

from quota_platform.base.features import Feature

FEATURE = Feature(
    package="quota_platform.accounts",
    rights={"Wallboard": ("tenants.view_tenant",), "Service account": ("tenants.view_tenant",)},
)
