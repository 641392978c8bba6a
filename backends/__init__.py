"""Backends: what runs a compiled program."""
