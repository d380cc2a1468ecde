"""Talks to upstreams (CXone and its like): tokens, requests, faults; and the sandbox that imitates them."""
