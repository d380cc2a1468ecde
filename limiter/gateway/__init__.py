"""The gateway: one call from the key it presents to the answer it gets, and what is read beside it."""
