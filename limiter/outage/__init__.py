"""Deciding while the store is unavailable: a share of each limit, with the decisions handed in later."""
