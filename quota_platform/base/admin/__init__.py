"""The bases of every model's admin: history, stale writes, panels, and only the rows that a person sees."""
