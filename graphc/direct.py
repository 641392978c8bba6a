"""The direct way into a compiled function, for short calls that repeat.

A call goes through Python: arguments are checked, sizes bound, memory taken, and the interpreter's
lock is given back while native code runs. A function whose calls last a few microseconds spends
most of its time on that. After some calls of the same shapes, such calls go to the backend's
direct call, which checks that nothing has changed and runs; whatever is unusual comes back here.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from graphc.backends.base import CallLayout, DirectCall, Place
from graphc.compiler import ProgramRunner, Workspace
from graphc.ir.storage import REPLACING, ProcessLock, Storage, references
from graphc.structure import LEAF, NONE, Structure

LONGEST = 50e-6  # seconds; longer calls let other threads run meanwhile
ENOUGH = 3  # calls of any shape before the first direct one
RETRY = 100  # calls after one whose sizes the direct way does not take


class DirectRoute:
    """Decides when calls go the direct way.

    slow: the long way, which must not refer to what holds the route.
    """

    def __init__(
        self,
        runner: ProgramRunner,
        variables: Sequence[Storage],
        updated: Sequence[Storage],
        structure: Structure,
        slow: Callable[..., Any],
    ) -> None:
        self.runner = runner
        self.variables = variables
        self.updated = updated
        self.structure = structure
        self.slow = slow
        self._direct: DirectCall | None = None
        self._seen = 0
        self._workspace: Workspace | None = None  # its own: nobody else runs in it
        self._lock = ProcessLock()

    def consider(
        self, sizes: tuple[int, ...], arrays: Sequence[np.ndarray]
    ) -> Callable[..., Any] | None:
        """After a call of these sizes and arguments: what to call from now on, if that changes."""
        self._seen += 1
        if self._seen < ENOUGH or self.runner.seconds > LONGEST:
            return None
        with self._lock.current():
            return self._install(sizes, arrays)

    def _install(
        self, sizes: tuple[int, ...], arrays: Sequence[np.ndarray]
    ) -> Callable[..., Any] | None:
        direct = self._direct or self.runner.executable.direct_call(self._layout())
        if direct is None:
            self._seen = -(1 << 62)  # there is no direct way: do not ask again
            return None
        workspace = self.runner.take_bound(sizes)
        if workspace is None:
            return None
        run, shapes = workspace.bound[sizes]
        ordered = [shapes[position] for position in self.runner.output_order]
        if not direct.install(run, [*(array.shape for array in arrays), *ordered], workspace):
            self.runner.idle.append(workspace)
            self._seen = -RETRY
            return None
        if self._workspace is not None:
            self.runner.idle.append(self._workspace)
        self._workspace = workspace
        self._direct = direct
        return direct.call

    def _layout(self) -> CallLayout:
        """Where arguments, variables, new values and outputs stand among the buffers."""
        places: dict[str, list[Place]] = {}
        for position, buffer in enumerate(self.runner.program.buffers.values()):
            place = Place(buffer.dtype, len(buffer.shape), position)
            places.setdefault(buffer.role, []).append(place)
        variables = zip(self.variables, places.get("variable", []), strict=True)
        updates = zip(self.updated, places.get("update", []), strict=True)
        outputs = places.get("output", [])
        several = self.structure is not LEAF and self.structure is not NONE
        packs = several and not (self.structure.kind == "list" and self.structure.is_flat)
        return CallLayout(
            tuple(places.get("input", [])),
            tuple((references(storage)[0], place.position) for storage, place in variables),
            tuple((*references(storage), place.position) for storage, place in updates),
            tuple(outputs[position] for position in self.runner.output_order),
            several,
            self.structure.packer() if packs else None,
            REPLACING,
            self.slow,
            (self.variables, self.updated),
        )
