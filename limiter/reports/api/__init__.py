"""The resources of this feature in the management API."""
