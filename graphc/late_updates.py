"""Updates that are made only if the function is not in the cache.

Gradients and the rule of an optimizer are most of the nodes of a training step. What they are
follows from the loss, the weights and a few settings, and so does the name of the step in the
cache. `LateUpdates` says how to make them, and what decides them; `gc.function` takes it in the
place of updates, and makes them where the function has to be compiled, and where somebody looks.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

from graphc.fingerprint import fingerprint
from graphc.ir.graph import Graph
from graphc.ir.leaf import Variable
from graphc.ir.node import Node
from graphc.ir.storage import Storage
from graphc.ir.tensor import Tensor
from graphc.records import dataclass

__all__ = ["LateUpdates"]


@dataclass(frozen=True, eq=False)
class LateUpdates:
    """How to make the updates of a function, if need be.

    make: gives all of them, as a dict or pairs. early: those that exist already, with the values
    that `make` gives them, or others in their place. of: tensors. key: plain values. Whatever
    `make` gives must follow from the expressions `early` and `of` and from the key, by code of this
    package; its variables are those of these expressions, and others that `restore` makes.

    recipe: what is to be known of these, as values of JSON; asked for after `make`. restore: makes
    them from the recipe, unless they are there, and gives them in a fixed order.
    """

    make: Callable[[], Any]
    early: Mapping[Variable, Any] | Sequence[tuple[Variable, Any]]
    of: Sequence[Tensor]
    key: Any
    recipe: Callable[[], Any]
    restore: Callable[[Any], Sequence[Variable]]


class LateGraph(Graph):
    """A graph whose updates are made when somebody asks for them or for its nodes.

    early: its inputs, its outputs and `late.of`, and the early updates. expand: the whole graph,
    checked.
    """

    early: Graph
    late: LateUpdates

    def __init__(self, early: Graph, late: LateUpdates, expand: Callable[[], Graph]) -> None:
        outputs = early.outputs[: len(early.outputs) - len(late.of)]
        vars(self).update(
            inputs=early.inputs,
            outputs=outputs,
            name=early.name,
            output_names=early.output_names[: len(outputs)],
            early=early,
            late=late,
            _expand=expand,
        )

    @cached_property
    def whole(self) -> Graph:
        """The graph with all updates."""
        made: Graph = vars(self)["_expand"]()
        return made

    @cached_property
    def updates(self) -> tuple[tuple[Variable, Tensor], ...]:
        return self.whole.updates

    @cached_property
    def nodes(self) -> tuple[Node, ...]:
        return self.whole.nodes

    @property
    def updated(self) -> tuple[Variable, ...]:
        found: tuple[Variable, ...] | None = vars(self).get("_updated")
        return super().updated if found is None else found

    @property
    def is_recalled(self) -> bool:
        """Whether the updates were not needed, as the function was in the cache."""
        return "_updated" in vars(self)

    def fingerprint(self) -> bytes | None:
        """A name that is known before the updates are made; None if there is none."""
        return fingerprint(self.early, self.late.key)

    # --- what the cache keeps of it ---

    def described(self) -> dict[str, Any] | None:
        """What `recalled` needs, and None if the function cannot be known by its early name."""
        early, late, whole = self.early, self.late, self.whole
        recipe = late.recipe()
        if recipe is None:
            return None
        places = {id(v.storage): n for n, v in enumerate(self._known(recipe))}
        updated = [places.get(id(variable.storage)) for variable in whole.updated]
        shown = {id(variable.node) for variable in whole.updated}
        if None in updated or any(id(v.node) not in shown for v in early.updated):
            return None
        if any(value.shape != variable.shape for variable, value in whole.updates):
            return None  # calls would have to compare them
        return {"recipe": recipe, "updated": updated}

    def variables_of(self, words: Mapping[str, Any]) -> list[Storage]:
        """The memory of all variables, in an order that does not depend on the updates."""
        return [variable.storage for variable in self._known(words["recipe"])]

    def recalled(self, words: Mapping[str, Any]) -> list[Storage]:
        """The memory of all variables, from what was described; `updated` is known from now on."""
        known = self._known(words["recipe"])
        vars(self)["_updated"] = tuple([known[place] for place in words["updated"]])
        return [variable.storage for variable in known]

    def _known(self, recipe: Any) -> list[Variable]:
        found = {id(v.storage): v for v in self.early.variables}
        for variable in self.late.restore(recipe):
            found.setdefault(id(variable.storage), variable)
        return list(found.values())
