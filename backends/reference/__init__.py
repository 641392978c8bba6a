"""The reference backend: numpy defines the meaning of every op."""
