"""Random tests draw the same cases in every run; what they find elsewhere becomes a test."""

from hypothesis import settings

settings.register_profile("repeatable", derandomize=True, database=None)
settings.load_profile("repeatable")
