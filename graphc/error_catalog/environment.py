"""Errors of what is installed, of files and of the environment: E6xx."""

from graphc.error_catalog.explanation import Explanation

EXPLANATIONS = {
    "E601": Explanation(
        "something is not installed",
        "An optional package or program is missing; the message says how to get it. graphc doctor "
        "shows what is there.",
    ),
    "E602": Explanation(
        "a file that is damaged or of another format",
        "gc.load and gc.load_function read what gc.save and f.save wrote, whole files of the same "
        "version of the format.",
    ),
    "E603": Explanation(
        "a file does not fit the variables",
        "gc.load sets all variables or none: names, dtypes and shapes must be those of the file. "
        "The message lists what differs.",
        """
w = gc.variable(np.zeros(3, "float32"), "w")
gc.save("weights.safetensors", [w])
gc.load("weights.safetensors", {"weights": w})
""",
        """
w = gc.variable(np.zeros(3, "float32"), "w")
gc.save("weights.safetensors", [w])
gc.load("weights.safetensors", {"w": w})
""",
    ),
    "E604": Explanation(
        "an environment variable that makes no sense",
        "GRAPHC_THREADS and OMP_NUM_THREADS hold a number of threads, at least 1.",
    ),
    "E605": Explanation(
        "there is not enough memory for a call",
        "The results of a call, or what it needs in between at these sizes, are more than the "
        "machine can give. The message has the sizes, the largest buffers and their lines. All "
        "variables keep their values, and the function can be called again.",
        """
x, y = gc.placeholder("x", ("n",)), gc.placeholder("y", ("m",))
f = gc.function([x, y], x[:, None] * y)
f(np.ones(10_000_000, "float32"), np.ones(10_000_000, "float32"))
""",
        """
x, y = gc.placeholder("x", ("n",)), gc.placeholder("y", ("m",))
f = gc.function([x, y], x[:, None] * y)
f(np.ones(10, "float32"), np.ones(10_000, "float32"))
""",
    ),
}
