"""Who may call what, and through which upstream account: tenants, connections, actions and API keys."""
