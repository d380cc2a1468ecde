"""What happened, kept: events, usage, multipliers and edits on their way from the store into the database, in chains."""
