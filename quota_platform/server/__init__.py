"""The HTTP server of the web role: callers' connections, their requests, and the responses."""
