"""Random tests draw the same cases in every run; what they find elsewhere becomes a test."""

import os

from hypothesis import settings

os.environ["GRAPHC_CACHE"] = "off"  # tests compile, and leave nothing behind

settings.register_profile("repeatable", derandomize=True, database=None)
settings.load_profile("repeatable")
