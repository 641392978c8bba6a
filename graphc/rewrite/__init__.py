"""Patterns, rules and the driver that applies them."""
