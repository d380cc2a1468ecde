"""Incidents over the management API."""
