"""Deciding while the store is unavailable: a share of each limit, and what was decided handed in later."""
