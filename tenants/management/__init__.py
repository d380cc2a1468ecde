"""Commands about tenants and their rows."""
