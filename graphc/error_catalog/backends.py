"""Errors of backends, and of internal checks: E5xx."""

from graphc.error_catalog.explanation import Explanation

EXPLANATIONS = {
    "E500": Explanation(
        "an error without a code of its own",
        "graphc refused something and says why in the message.",
    ),
    "E501": Explanation(
        "a backend that does not exist, or does not have what was asked for",
        'The backends are llvm (also called "auto"), numba_cpu, interpreter and reference. Only '
        "llvm has LLVM text and assembly; reference has no loops.",
        """
x = gc.placeholder("x", ("n",))
f = gc.function([x], x * 2, backend="cuda")
""",
        """
x = gc.placeholder("x", ("n",))
f = gc.function([x], x * 2, backend="interpreter")
""",
    ),
    "E502": Explanation(
        "a backend failed to compile a kernel",
        "This is a defect of graphc, or of the compiler behind the backend. The message has the "
        'generated code; please report it. backend="llvm" may compile the same function.',
    ),
    "E503": Explanation(
        "an intermediate form broke its own rules",
        "A pass, a lowering or a backend made something invalid: this is a defect of graphc. "
        "Please report it with the graph (f.graph_text('before')).",
    ),
    "E504": Explanation(
        "rewrite rules undo each other or do not end",
        "The message names the rules. If all of them are graphc's own this is a defect of graphc; "
        "optimize=False compiles without rules.",
    ),
    "E505": Explanation(
        "text that is no printed graph",
        "gc.parse_graph reads what f.graph_text() wrote. The message has the line.",
    ),
    "E506": Explanation(
        "a memory limit that cannot be kept",
        "gc.function(..., memory_limit=bytes) computes cheap values twice until a call needs no "
        "more than that. Results, and what products and their operands need at one step, cannot be "
        "saved; the message has the largest buffers and their lines. With symbolic sizes the limit "
        "holds at the sizes that are given with it.",
        """
x = gc.placeholder("x", (1000, 1000))
f = gc.function([x], gc.exp(x), memory_limit=1_000_000)
""",
        """
x = gc.placeholder("x", (1000, 1000))
f = gc.function([x], gc.exp(x), memory_limit=4_000_000)
""",
    ),
}
