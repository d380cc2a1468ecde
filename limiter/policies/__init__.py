"""Policies as values: compiled, piled into plans, put into words, checked, compared and brought back."""
