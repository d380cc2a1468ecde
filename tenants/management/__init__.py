"""Commands about tenants and what they hold."""
