"""The management API of policies, assignments, overrides and throttle events."""
