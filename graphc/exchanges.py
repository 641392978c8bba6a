"""Long calls that update variables: their arrays go to the program and back in native code.

Such calls take the lock of the variables and give back the interpreter's, so they do not go the
direct way (graphc.direct). With hundreds of variables, as training has, a few lines of Python for
each of them would take as long as much of the work.
"""

from typing import cast

import numpy as np

from graphc.backends.base import Exchange, TableProgram, may_exchange
from graphc.direct import Border
from graphc.ir.storage import exchanged_by
from graphc.running import Arrays, Given, Sizes

ENOUGH = 2  # calls before the first one: these leave spare arrays behind


class Exchanges:
    """Calls of one function in which new values replace old ones natively."""

    def __init__(self, border: Border, rewrites: bool) -> None:
        """rewrites: whether new values may be written over the old ones."""
        self._border = border
        self._rewrites = rewrites
        self._calls = 0
        self._exchange: Exchange | None = None

    def run(self, sizes: Sizes, inputs: Arrays, out: Given) -> list[np.ndarray] | None:
        """The outputs of a call; None if nothing has been done: it must go the way of all others.

        That is so where somebody holds an array that a call replaced before.
        """
        if self._calls < ENOUGH:
            self._calls += 1
            return None
        exchange = self._exchange or self._made()
        if exchange is None:
            return None
        outputs: list[np.ndarray] = []

        def call(over: bool) -> bool:
            return self._call(sizes, inputs, out, exchange, over, outputs)

        return outputs if exchanged_by(call, self._border.updated, self._rewrites) else None

    def _made(self) -> Exchange | None:
        border = self._border
        executable = border.runner.executable
        if may_exchange(executable):
            keep = (border.variables, border.updated)
            self._exchange = executable.exchange(*border.rows(border.positions()), keep)
        if self._exchange is None:
            self._calls = -(1 << 62)  # there is none: do not ask again
        return self._exchange

    def _call(
        self,
        sizes: Sizes,
        inputs: Arrays,
        out: Given,
        exchange: Exchange,
        over: bool,
        outputs: list[np.ndarray],
    ) -> bool:
        """Under the lock of the variables. over: new values are written over the old ones."""
        runner = self._border.runner
        workspace = runner.workspace()
        try:
            bound, shapes = workspace.bound.get(sizes) or runner.bind(workspace, sizes)
            if not exchange.take(bound, over):
                return False
            program = cast(TableProgram, bound)
            arrays: list[np.ndarray] = []
            results: list[np.ndarray] = []
            for place in runner.own:
                role, position, dtype = runner.layout[place]
                if role == "output":
                    results.append(runner.memory(position, shapes[position], dtype, out, sizes))
                    arrays.append(results[-1])
                else:
                    given = inputs if role == "input" else runner.constants
                    arrays.append(given[position])
            program.point_some(runner.own, arrays)
            runner.timed(program.run, sizes)
            if not over:
                exchange.swap()
            outputs += (results[position] for position in runner.output_order)
            return True
        finally:
            runner.idle.append(workspace)
