"""Rules that bring expressions into one canonical form."""
