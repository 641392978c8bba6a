"""The inputs of a workload at its chosen size, its reference, and whether an answer is right."""

import array_problems  # noqa: F401  they register what they define
import model_problems  # noqa: F401
import numpy as np
from problem import PROBLEMS
from workload import SIZE, WORKLOADS


def make(name):
    return PROBLEMS[name].make(**SIZE[name])


def reference(name, inputs):
    precise = {k: (v.astype(np.float64) if v.dtype.kind == "f" else v) for k, v in inputs.items()}
    return {k: np.asarray(v) for k, v in PROBLEMS[name].ref(precise).items()}


def wrong(name, out, ref, inputs):
    """None if right, else a sentence."""
    if PROBLEMS[name].check:
        return PROBLEMS[name].check(out, ref, inputs)
    workload = WORKLOADS[name]
    for k, r in ref.items():
        if k not in out:
            return f"{k} missing"
        o = np.asarray(out[k], dtype=np.float64)
        if o.shape != r.shape:
            return f"{k}: shape {o.shape}, expected {r.shape}"
        tol = workload.rtol
        if workload.calls > 1 and k in inputs:
            # an updated parameter: what matters is how far it moved
            start = inputs[k].astype(np.float64)
            o, r, tol = o - start, r - start, 5e-3
        err, scale = length(o - r, workload.norm), length(r, workload.norm) + 1e-30
        if not err <= tol * scale:
            return f"{k}: relative error {err / scale:.2e} > {tol}"
    return None


def length(a, norm):
    return np.sqrt((a * a).sum()) if norm == "l2" else np.max(np.abs(a), initial=0.0)
