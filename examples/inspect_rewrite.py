"""Looking at a rewrite: what you wrote, what the compiler made of it, which rule did it, and why.

log(softmax(x)) is -inf as soon as a probability underflows. The compiler knows the equation
log(softmax(x)) = log_softmax(x), and the log of what fired is part of the compiled function.
"""

import numpy as np

import graphc as gc

x = gc.placeholder("x", ("n", 3))
f = gc.function([x], gc.log(gc.softmax(x)))
naive = gc.function([x], gc.log(gc.softmax(x)), optimize=False)

print("as written")
f.dprint("before")
print("compiled")
f.dprint()
print("because")
print(f.rewrites())

extreme = np.array([[0, -800, -1000]], "float32")
print("naive", naive(extreme), " compiled", f(extreme))

assert "log_of_softmax" in f.stages.log.rules()
assert "log_of_softmax" not in naive.stages.log.rules()
assert np.isinf(naive(extreme)).any()
np.testing.assert_array_equal(f(extreme), extreme)
for entry in f.stages.log:
    assert "inspect_rewrite.py" in entry.where  # every hit names the line it came from
