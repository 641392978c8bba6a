"""Checks of a function while it runs: where a NaN comes from, which rule changed a number."""
