"""Commands that need the whole project."""
