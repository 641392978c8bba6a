"""A problem: inputs drawn from a fixed seed, and the answer in float64."""

import numpy as np

F32 = np.float32
PROBLEMS = {}


class Problem:
    """make(**size): the inputs; ref(inputs in float64): the answer; check: of another kind."""

    def __init__(self, make, ref, check=None):
        self.make, self.ref, self.check = make, ref, check


def problem(name, make, ref, check=None):
    PROBLEMS[name] = Problem(make, ref, check)


def rng_for(name):
    return np.random.default_rng([20260, *name.encode()])


def normal(rng, *shape):
    return rng.standard_normal(shape, dtype=F32)
