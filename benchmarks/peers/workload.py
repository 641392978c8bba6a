"""What a workload is, and how its rows are named.

A row is called NAME at its first size, which is the one of record, and NAME:1 to NAME:3 at the
others, which tell whether it holds elsewhere: smaller ones, primes and other odd numbers that no
vector, tile or page divides, and a larger or longer one where it is still quick. NAME+hugepages is
the first once more, with malloc asking for huge pages. `choose("mlp_step:1")` sets the size of a
workload for this process: what makes inputs, references and calls reads `SIZE["mlp_step"]`.

Needs only the standard library: run.py and record.py read the table too.
"""

from dataclasses import dataclass
from typing import Any

HUGE = "+hugepages"

WORKLOADS = {}  # in the order of the tables
SIZE = {}  # the chosen size of each


@dataclass
class Workload:
    """flops, nbytes: functions of the fields of a size.

    goal: our time over that of the best peer, or of the peer goal_of. kind: what bounds it: a
    "stream" memory or arithmetic, a "product" sgemm; a "ceiling" is what others are measured by.
    large: its time depends on how the memory of large new arrays is found. calls: made before the
    check. once: few calls, each compiles afresh. norm: "l2" where a relu whose input is within
    rounding of 0 may fall on either side: one such flip moves single elements of a gradient far.
    """

    name: str
    call: str
    sizes: list
    flops: Any
    nbytes: Any
    goal: float | None = None
    goal_of: str = ""
    kind: str = ""
    large: bool = False
    rtol: float = 1e-4
    calls: int = 1
    once: bool = False
    norm: str = "max"


def row(name, *args, **kw):
    WORKLOADS[name] = Workload(name, *args, **kw)
    SIZE[name] = WORKLOADS[name].sizes[0]


def sizes(fields, *values):
    return [dict(zip(fields, v)) for v in values]


def parts(workload):
    """The name, which of its sizes, and whether with huge pages."""
    plain = workload.removesuffix(HUGE)
    name, _, which = plain.partition(":")
    return name, int(which or 0), plain != workload


def choose(workload):
    """The name of a workload, whose size is set."""
    name, which, _ = parts(workload)
    SIZE[name] = WORKLOADS[name].sizes[which]
    return name


def known(workload):
    try:
        name, which, _ = parts(workload)
    except ValueError:
        return False
    return name in WORKLOADS and 0 <= which < len(WORKLOADS[name].sizes)


def named(kind):
    return [name for name, w in WORKLOADS.items() if w.kind == kind]


def others(name):
    return [f"{name}:{k}" for k in range(1, len(WORKLOADS[name].sizes))]


def place(workload):
    """Where it stands in tables: ceilings, first sizes, further ones, huge pages."""
    name, which, huge = parts(workload)
    no_ceiling = WORKLOADS[name].kind != "ceiling"
    return huge, bool(which), no_ceiling, list(WORKLOADS).index(name), which


def work(workload):
    """What a run's file says of a row."""
    name, which, _ = parts(workload)
    w = WORKLOADS[name]
    size = w.sizes[which]
    return dict(flops=w.flops(**size), bytes=w.nbytes(**size), call=w.call, size=shown(size))


def shown(size):
    """A size in words: `batch 32, widths 64-32-10`."""

    def text(value):
        if not isinstance(value, tuple):
            return f"{value:,}" if value > 9999 else str(value)
        if len(value) > 8:
            return f"{value[0]}, {value[1]} ... {value[-1]} ({len(value)})"
        return "-".join(map(str, value))

    return ", ".join(f"{k} {text(v)}" for k, v in size.items())
