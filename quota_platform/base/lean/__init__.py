"""Requests and responses without Django's cost, and errors as problem documents: for views on the event loop."""
