"""`graphc inspect`: the stages of one compiled function."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from rich.console import Console

from graphc.commands.terminal import UsageError, heading
from graphc.function import Function
from graphc.inspect.dot import write_picture
from graphc.rewrite.driver import RewriteLog

SHOWN_REWRITES = 12  # in the summary
SHOWN_WIDTH = 44  # characters of an expression there
VIEWS: dict[str, Callable[[Function], str]] = {
    "before": lambda function: function.graph_text("before"),
    "after": lambda function: function.graph_text("after"),
    "rewrites": lambda function: function.rewrites(),
    "kernels": lambda function: function.kernels(),
    "loops": lambda function: function.loops(),
    "memory": lambda function: function.memory_plan(),
    "llvm": lambda function: function.llvm(),
    "asm": lambda function: function.asm(),
}
TITLES = {
    "before": "graph as written",
    "after": "graph after the passes",
    "rewrites": "rewrites",
    "kernels": "kernels",
    "loops": "loops",
    "memory": "memory plan",
    "llvm": "LLVM",
    "asm": "assembly",
}


def show_views(
    console: Console, function: Function, views: Sequence[str], kernels: Sequence[int]
) -> None:
    """The views asked for; a single one comes alone, so that it can be piped."""
    texts = [(TITLES[view], VIEWS[view](function)) for view in views]
    texts += [(f"source of kernel {k}", function.source(k)) for k in kernels]
    for title, text in texts:
        if len(texts) > 1:
            heading(console, title)
        console.print(text.rstrip())


def spent_on(seconds: Mapping[str, float]) -> str:
    """Milliseconds by stage, the parts of a stage in brackets behind it."""
    told = []
    for stage, value in seconds.items():
        parts = {name: s for name, s in seconds.items() if name.startswith(f"{stage}: ")}
        inner = ", ".join(f"{name.partition(': ')[2]} {1000 * s:.1f}" for name, s in parts.items())
        if ": " not in stage:
            told.append(f"{stage} {1000 * value:.1f}" + (f" ({inner})" if inner else ""))
    return ", ".join(told)


def show_summary(console: Console, function: Function) -> None:
    """All stages at a glance."""
    stages = function.stages
    seconds = function.stats()["seconds"]
    console.print(repr(function).strip("<>"), style="bold")
    total = sum(value for stage, value in seconds.items() if ":" not in stage)  # no parts of stages
    console.print(f"compiled in {1000 * total:.1f} ms: {spent_on(seconds)}")
    count = f"{len(stages.user_graph.nodes)} nodes became {len(stages.graph.nodes)}"
    heading(console, f"graph after the passes: {count}")
    console.print(function.graph_text().rstrip())
    heading(console, f"rewrites: {len(stages.log)}")
    console.print(first_rewrites(stages.log, SHOWN_REWRITES))
    if stages.program is not None:
        heading(console, f"kernels: {len(stages.program.steps)} steps")
        console.print(function.kernels())
        heading(console, "memory plan")
        console.print(function.memory_plan())
    hint = (
        "more: --before --rewrites --loops --source N --llvm --asm --dot graph.svg --html page.html"
    )
    console.print(f"\n{hint}", style="dim")


def first_rewrites(log: RewriteLog, limit: int) -> str:
    """The first entries of the log, cut to fit a terminal, and how many more there are."""
    rows = [
        (entry.rule, shortened(entry.before), shortened(entry.after), entry.where)
        for entry in log.entries[:limit]
    ]
    widths = [max((len(row[k]) for row in rows), default=0) for k in range(3)]
    lines = [
        f"{rule:<{widths[0]}}  {before:<{widths[1]}} -> {after:<{widths[2]}}  {where}"
        for rule, before, after, where in rows
    ]
    left = len(log) - limit
    return "\n".join([*lines, f"... {left} more: --rewrites"] if left > 0 else lines)


def shortened(text: str) -> str:
    return text if len(text) <= SHOWN_WIDTH else f"{text[: SHOWN_WIDTH - 3]}..."


def write_dot(console: Console, function: Function, path: Path, stage: str) -> None:
    """Draw the graph before or after the passes."""
    graph = function.stages.user_graph if stage == "before" else function.stages.graph
    try:
        write_picture(graph, path)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}") from error
    console.print(f"wrote {path}")


def write_page(console: Console, function: Function, path: Path) -> None:
    """Everything about the function as one HTML file."""
    try:
        function.to_html(path)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}") from error
    console.print(f"wrote {path}")
