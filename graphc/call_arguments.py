"""Arguments of a call: positions, names and defaults as one value per input; and the signature."""

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from graphc.errors import FeedError
from graphc.function_checks import path_text
from graphc.ir.graph import Graph
from graphc.ir.tensor import Tensor

MOST_SHOWN = 12  # inputs or results in one text


class _NotGiven:
    def __repr__(self) -> str:
        return "<not fed>"


MISSING: Any = _NotGiven()


class CallArguments:
    """What a function takes. defaults: a value for each input, MISSING for none."""

    def __init__(self, graph: Graph, defaults: Sequence[Any]) -> None:
        self.graph, self.name, self.inputs = graph, graph.name, graph.inputs
        self.defaults = defaults
        self._positions = {str(tensor.name): n for n, tensor in enumerate(graph.inputs)}

    def complete(
        self, args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> tuple[tuple[Any, ...], Any]:
        """Positions, names and defaults as one value per input; and what `out=` was."""
        if len(args) > len(self.inputs):
            count = len(self.inputs)
            raise FeedError(
                f"{self.name} takes {count} input{'s' * (count != 1)}, got {len(args)}",
                code="E202",
                details=[self.signature()],
                source=self.source(),
                fix="pass one array per input; several examples go into one array",
            )
        values = [*args, *self.defaults[len(args) :]]
        out = None
        for name, value in kwargs.items():
            position = self._positions.get(name)
            if position is None and name == "out":
                out = value
                continue
            if position is None or position < len(args):
                problem = "has no input" if position is None else "got two values for"
                raise FeedError(
                    f"{self.name} {problem} {name!r}",
                    code="E202",
                    details=[self.signature()],
                    source=self.source(),
                    fix="pass each input once, by position or by its name",
                )
            values[position] = value
        for tensor, value in zip(self.inputs, values, strict=True):
            if value is MISSING:
                raise self.missing(tensor)
        return tuple(values), out

    def missing(self, tensor: Tensor) -> FeedError:
        """E201, with the way from the results to the input."""
        return FeedError(
            f"{self.name}: input {tensor.name!r} was not fed",
            code="E201",
            details=[self.signature(), *path_text(self.graph, tensor)],
            source=tensor.sources[0] if tensor.sources else None,
            fix=f"pass a value for {tensor.name}, or give it one with defaults={{...}}",
        )

    def source(self) -> Any:
        """Where the first result was written, for errors that concern no single input."""
        for result in self.graph.results:
            if result.sources:
                return result.sources[0]
        return None

    def signature(self) -> str:
        """`train(x: float32[n, 784], y: int64[n])`"""
        shown = [f"{t.name}: {t.type}" for t in self.inputs[:MOST_SHOWN]]
        if len(self.inputs) > MOST_SHOWN:
            shown.append(f"... {len(self.inputs)} inputs")
        return f"{self.name}({', '.join(shown)})"

    def for_inspect(self) -> inspect.Signature:
        """The signature as Python's own functions have it."""
        parameters: list[inspect.Parameter] = []
        by_name = False  # Python wants inputs without a default after others to be named
        for tensor, default in zip(self.inputs, self.defaults, strict=True):
            if default is MISSING:
                default = inspect.Parameter.empty
                by_name |= any(p.default is not inspect.Parameter.empty for p in parameters[-1:])
            kind = (
                inspect.Parameter.KEYWORD_ONLY
                if by_name
                else inspect.Parameter.POSITIONAL_OR_KEYWORD
            )
            parameters.append(
                inspect.Parameter(
                    str(tensor.name), kind, default=default, annotation=str(tensor.type)
                )
            )
        return inspect.Signature(parameters)

    def describe(self, backend: str) -> str:
        """The docstring: types of all that goes in and comes out."""
        graph = self.graph
        lines = [f"{self.signature()}, compiled by graphc for {backend}.", ""]
        named = zip(graph.output_names, graph.outputs, strict=True)
        rows = [("output", name, tensor) for name, tensor in named]
        rows += [("update", variable.name, variable) for variable in graph.updated]
        for kind, name, tensor in rows[:MOST_SHOWN]:
            label = name or tensor.name
            lines.append(f"{kind}  {label + ': ' if label else ''}{tensor.type}")
        if len(rows) > MOST_SHOWN:
            lines.append(f"... {len(rows)} results")
        return "\n".join(lines).rstrip()
