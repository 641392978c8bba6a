"""The loop interpreter backend: runs loop programs step by step."""
