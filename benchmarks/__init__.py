"""Benchmarks: side by side with a peer, in one run on the same machine, as ratios."""
