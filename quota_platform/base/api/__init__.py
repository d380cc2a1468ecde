"""The bases of every resource of the management API."""
