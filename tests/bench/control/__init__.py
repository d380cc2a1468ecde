"""Limits that follow a unit: the controllers beside each other, on a simulated unit with a clock of its own."""
