"""What happened, kept: events, usage, multipliers and edits, on their way into the database."""
