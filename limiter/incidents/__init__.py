"""Incidents: stretches of time in which a limit refused a tenant's calls."""
