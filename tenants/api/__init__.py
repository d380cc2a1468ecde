"""The management API of tenants, connections, actions and API keys, and what every management route shares."""
