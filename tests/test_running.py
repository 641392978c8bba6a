"""Runners: what they keep between calls."""

import numpy as np

import graphc as gc
from graphc.running import ProgramRunner


def test_layouts_of_many_sizes_are_kept() -> None:
    """Batches of some thirty sizes in turns are laid out once each."""
    x = gc.placeholder("x", ("n", 3))
    f = gc.function([x], gc.cumulative_sum(gc.tanh(x), axis=0) + 1.0)
    run = f._run
    assert isinstance(run, ProgramRunner)
    sizes = [*range(40, 0, -1)]  # the arena of the first one is large enough for all
    for n in sizes:
        f(np.ones((n, 3), "float32"))
    (workspace,) = run.idle
    assert set(workspace.bound) == {(n,) for n in sizes}
