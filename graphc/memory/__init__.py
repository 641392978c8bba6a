"""Memory planning: liveness, reuse and in-place decisions."""
