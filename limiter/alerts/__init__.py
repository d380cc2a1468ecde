"""Alerts: which limits are nearly used up, who is told, and when it is over."""
