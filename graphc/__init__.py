"""Lazy computation graphs compiled to native code."""
