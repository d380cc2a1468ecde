"""What every app stands on: the bases of admin and API, row access, the change feed, secrets, safe hosts, text."""
