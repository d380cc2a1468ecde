"""Policies, limits, assignments and overrides in the admin."""

from limiter.policies.admin import assignment, override, policy, tenant_limits

tenant_limits.register()

__all__ = ["assignment", "override", "policy", "tenant_limits"]
