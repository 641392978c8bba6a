"""Neural network layers; they come in a later release."""
