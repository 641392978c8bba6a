"""What a compiled function of graphc tells about itself: its memory, and its instructions.

Arithmetic is counted in the innermost loops over whole vectors of the assembly: every
floating-point instruction there is one slot of a vector unit, in which a fused multiply-add would
fit as well; divisions and square roots have a unit, and a ceiling, of their own. Loops of rests,
which load or store under masks, are left out.
"""

import re

LANES = {"xmm": 4, "ymm": 8, "zmm": 16}
SLOT = re.compile(r"v(fn?m(add|sub)\w*|mul|add|sub|max|min|cmp\w*|round|rndscale)p[sd]$")
DIVISION = re.compile(r"v(div|sqrt)p[sd]$")
# Loads and stores; a mask elsewhere chooses between results.
MASKED = re.compile(r"vmaskmov|vmov(up|dqu)\S* .*\{%k")


def innermost_loops(assembly):
    """The lines of each loop that holds no other: from a label to the last jump back to it."""
    lines = [line.split() for line in assembly.splitlines()]
    lines = [line for line in lines if line and (line[0][-1] == ":" or line[0][0] not in ".#")]
    at = {line[0][:-1]: k for k, line in enumerate(lines) if line[0][-1] == ":"}
    back = {}
    for k, line in enumerate(lines):
        start = at.get(line[-1], k) if line[0].startswith("j") else k
        if start < k:
            back[start] = k
    inner = [(a, b) for a, b in back.items() if not any(a < c and d < b for c, d in back.items())]
    joined = []
    for a, b in sorted(inner):  # two that overlap are one loop with a branch in it
        if joined and a <= joined[-1][1]:
            joined[-1] = (joined[-1][0], b)
        else:
            joined.append((a, b))
    return [lines[a : b + 1] for a, b in joined]


def instructions(assembly):
    """Slots and divisions of one element that the loops pass over once each."""
    slots = divisions = 0.0
    modules = assembly.split("\t.file")  # each has labels of its own
    for lines in (loop for module in modules for loop in innermost_loops(module)):
        body = "\n".join(" ".join(line) for line in lines)
        steps = [int(line[1][1:-1]) for line in lines if line[0] == "addq" and line[1][0] == "$"]
        width = max((n for name, n in LANES.items() if name in body), default=1)
        steps = [step for step in steps if step >= width > 1]
        if not steps or MASKED.search(body):
            continue
        found = [line[0] for line in lines]
        slots += sum(bool(SLOT.match(name)) for name in found) * width / min(steps)
        divisions += sum(bool(DIVISION.match(name)) for name in found) * width / min(steps)
    return slots, divisions


def facts(function, elements=0):
    """For the results: `elements` is given where every loop passes over all of them."""
    plan = function.memory_plan().splitlines()
    arena = next(line.split("for")[0].split()[1:] for line in plan if line.startswith("  arena"))
    kinds = [
        words
        for mark, words in (
            ("output, fresh at every call", "new outputs"),
            ("in place, over the old values", "variables in place"),
            ("swapped in", "variables, two arrays in turns"),
        )
        if any(mark in line for line in plan)
    ]
    told = dict(memory=", ".join(kinds), arena=" ".join(arena))
    if elements:
        slots, divisions = instructions(function.asm())
        told.update(slots=slots * elements, divisions=divisions * elements)
    return told
