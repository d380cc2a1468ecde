"""Mail: the server that is set, the addresses that may be written to, and sending."""
