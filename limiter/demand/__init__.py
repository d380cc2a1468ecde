"""Demand: who called what in each second, refused calls included, and how full each limit was; docs/demand.md."""
