"""Dead code: a graph holds what its results depend on, and nothing else.

A Graph lists its nodes by walking from its results, so a rewrite that no longer needs a value has
dropped it. What is left to do is to say so, for a list of nodes from before.
"""

from graphc.ir.graph import Graph
from graphc.ir.node import Node


def dead_nodes(before: Graph, after: Graph) -> list[Node]:
    """Nodes of `before` that `after` does not compute, in order."""
    alive = {id(node) for node in after.nodes}
    return [node for node in before.nodes if id(node) not in alive]
