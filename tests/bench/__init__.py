"""Measures the gateway beside other ways to do its job and writes docs/benchmarks.md: ``python -m tests.bench``."""
