"""What supervisors see: consumption, live."""
