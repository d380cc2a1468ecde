"""The gateway: one call from the key it presents to the response it gets, and the pages read beside it."""
