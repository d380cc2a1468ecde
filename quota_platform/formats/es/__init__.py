"""Spanish pages."""
