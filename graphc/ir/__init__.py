"""The graph: ops, tensors, nodes, their printer, parser and verifier."""
