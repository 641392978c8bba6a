"""Graph to graph passes and the one list that orders them."""
