"""Alerts: which limits are nearly used up, who is notified, and when an alert ends."""
