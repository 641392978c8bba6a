"""A compiled function as one HTML file: what was written, what became of it, and why."""

import os
import platform
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from graphc.backends.base import scratch_of
from graphc.backends.llvm.target import host
from graphc.backends.registry import DEFAULT
from graphc.inspect.marked_text import (
    Lines,
    MarkedGraphs,
    escaped,
    folded,
    left_out,
    preformatted,
)
from graphc.inspect.memory import checked_values, format_plan
from graphc.inspect.memory_picture import MOST_BLOCKS, drawn_sizes, memory_picture
from graphc.inspect.page import page
from graphc.ir.graph import Graph
from graphc.ir.source import Source
from graphc.loops.ir import Kernel, Program
from graphc.loops.printer import format_kernel, summary
from graphc.rewrite.driver import RewriteLog
from graphc.whole_files import write_whole

if TYPE_CHECKING:
    from graphc.inspect.text import FunctionText

MOST_ROWS = 2_000  # of a text
OPEN_ROWS = 120  # texts of more are folded
MOST_SOURCE = 400_000  # characters of generated code
SHOWN_VARIABLES = 24
BAR = 120  # pixels


def write_html(path: str | os.PathLike[str], text: str) -> None:
    """Write the page; the file appears whole or not at all."""
    write_whole(path, lambda file: file.write(text.encode()))


def format_html(function: "FunctionText", sizes: Mapping[str, int] | None = None) -> str:
    """The page of a function. sizes: values for which the memory plan is drawn."""
    stages = function.stages
    lines = Lines(_sources(stages.user_graph, stages.graph, stages.program))
    sections = {
        "Graph": _graphs(function, lines),
        "Rewrites": _rewrites(function, stages.log, lines),
        "Kernels": _kernels(function, lines),
        "Memory plan": _memory(function, sizes or {}, lines),
        "Profile": _profile(function, lines),
    }
    return page(escaped(f"{stages.user_graph.name} · graphc"), _head(function), sections)


def _sources(written: Graph, optimized: Graph, program: Program | None) -> Iterator[Source]:
    for graph in (written, optimized):
        for node in graph.nodes:
            yield from node.sources
    if program is not None:
        for buffer in program.buffers.values():
            yield from buffer.sources


# --- the head ------------------------------------------------------------------------------------


def _head(function: "FunctionText") -> str:
    stages, stats = function.stages, function.stats()
    graph = stages.user_graph
    before, after = stats["nodes"]
    outputs = [
        f"{name}: {tensor.type}" if name else str(tensor.type)
        for name, tensor in zip(graph.output_names, graph.outputs, strict=True)
    ]
    variables = [f"{variable.name}: {variable.type}" for variable in graph.variables]
    updated = [str(variable.name) for variable, _ in graph.updates]
    rows = [
        ("backend", [function.backend]),
        ("target", [_target(function)]),
        ("inputs", [f"{tensor.name}: {tensor.type}" for tensor in graph.inputs]),
        ("outputs", outputs),
        ("variables", variables),
        ("updates", updated),
        ("nodes", [f"{before} as written, {after} after the passes"]),
        *[(name, [str(stats[name])]) for name in ("steps", "kernels") if name in stats],
        ("from the cache", [str(stats.get("program", "not kept"))]),
        ("object", [str(stats["origin"])] if "origin" in stats else []),
        ("threads", [f"{stats['threads']} at most"] if "threads" in stats else []),
    ]
    cells = "\n".join(f"<tr><th>{name}</th><td>{_listed(found)}</td></tr>" for name, found in rows)
    return (
        f"<header><h1>{escaped(graph.name)}</h1>\n"
        f"<p><code>{escaped(repr(function).strip('<>'))}</code></p>\n"
        f'<div class="scroll"><table>{cells}</table></div>\n'
        f"{_spent(stats['seconds'])}</header>"
    )


def _target(function: "FunctionText") -> str:
    """The processor that the code is for."""
    if function.backend != DEFAULT:
        return f"Python {platform.python_version()}, {platform.machine()}"
    target = host()
    return f"{target.cpu} ({target.triple}), vectors of {target.native_lanes(4)} x float32"


def _listed(found: Sequence[str]) -> str:
    if not found:
        return '<span class="soft">none</span>'
    shown = [f"<code>{escaped(one)}</code>" for one in found[:SHOWN_VARIABLES]]
    left = len(found) - SHOWN_VARIABLES
    return "<br>".join([*shown, f"and {left:,} more"] if left > 0 else shown)


def _spent(seconds: Mapping[str, float]) -> str:
    """Compile time by stage, with the parts of a stage below it."""
    whole = sum(value for stage, value in seconds.items() if ":" not in stage)
    order = {stage: number for number, stage in enumerate(seconds)}
    stages = sorted(seconds, key=lambda s: (order.get(s.partition(":")[0], 0), ":" in s, order[s]))
    rows = [
        f"<tr><td>{'&emsp;' * (':' in stage)}{escaped(stage.rpartition(': ')[2])}</td>"
        f'<td class="number">{1000 * seconds[stage]:.2f} ms</td>'
        f"<td>{_bar(seconds[stage] / whole if whole else 0)}</td></tr>"
        for stage in stages
    ]
    table = f"<table>{''.join(rows)}</table>"
    return folded(f"compiled in {1000 * whole:.1f} ms", table, is_open=True)


def _bar(share: float) -> str:
    width = min(max(share, 0.0), 1.0) * BAR
    return (
        f'<svg class="bar" width="{BAR}" height="9" aria-hidden="true">'
        f'<rect width="{width:.1f}" height="9"/></svg>'
    )


# --- graph and rewrites --------------------------------------------------------------------------


def _graphs(function: "FunctionText", lines: Lines) -> str:
    marked = MarkedGraphs()
    graphs = (
        ("as written", function.stages.user_graph, 'f.graph_text("before")'),
        ("after the passes", function.stages.graph, "f.graph_text()"),
    )
    parts = [
        '<p class="soft">A click on a value marks its uses, one on a line what became of it.</p>'
    ]
    for title, graph, whole in graphs:
        rows = lines.html(marked.text(graph)).split("\n")
        count = f'{title} <span class="soft">{len(graph.nodes):,} nodes</span>'
        text = preformatted(rows, MOST_ROWS, whole)
        parts.append(folded(count, text, len(rows) <= OPEN_ROWS))
    written = [source for source in lines.sources if source.text]
    rows = [lines.line(f"{source.short:<24}  {source.text}") for source in written]
    if rows:
        text = preformatted(rows, MOST_ROWS, "f.stages.user_graph")
        title = f'the lines of your program <span class="soft">{len(rows):,}</span>'
        parts.append(folded(title, text, len(rows) <= OPEN_ROWS // 4))
    return "\n".join(parts)


def _rewrites(function: "FunctionText", log: RewriteLog, lines: Lines) -> str:
    """The rules that fired with their equations, and every hit."""
    if not log:
        reason = "no rule fired" if function.optimized else "optimize=False"
        return f"<p>None: {reason}.</p>"
    fired = Counter((entry.group, entry.rule, entry.equation) for entry in log)
    rows = [
        f"<tr><td>{escaped(group)}</td><td>{escaped(rule)}</td>"
        f'<td class="code">{_equation(equation)}</td><td class="number">{hits:,}</td></tr>'
        for (group, rule, equation), hits in fired.items()
    ]
    head = "<tr><th>pass</th><th>rule</th><th>equation</th><th>times</th></tr>"
    table = f'<div class="scroll"><table>{head}{"".join(rows)}</table></div>'
    width = max(len(entry.rule) for entry in log)
    hits = []
    for entry in list(log)[: MOST_ROWS // 2]:
        hits.append(lines.line(f"{entry.rule:<{width}}    {entry.before}  {entry.where}"))
        hits.append(lines.line(f"{'':<{width}}  = {entry.after}"))
    text = f"<pre>{chr(10).join(hits)}</pre>"
    if len(log) > MOST_ROWS // 2:
        text += left_out(f"{len(log) - MOST_ROWS // 2:,} more rewrites", "f.rewrites()")
    title = f'before and after <span class="soft">{len(log):,} rewrites</span>'
    return f"{table}\n{folded(title, text, len(hits) <= OPEN_ROWS)}"


def _equation(text: str) -> str:
    """The first paragraph of a rule's docstring."""
    return "<br>".join(map(escaped, text.split("\n\n")[0].splitlines()))


# --- kernels -------------------------------------------------------------------------------------


def _without_program(function: "FunctionText") -> str:
    return f"<p>None: backend {escaped(repr(function.backend))} interprets the graph.</p>"


def _kernels(function: "FunctionText", lines: Lines) -> str:
    """The steps in order, and each kernel as loops and as generated code."""
    program = function.stages.program
    if program is None:
        return _without_program(function)
    steps = lines.html(summary(program), program.buffers).split("\n")
    title = f'steps in order <span class="soft">{len(program.all_steps):,}</span>'
    text = preformatted(steps, MOST_ROWS, "f.kernels()")
    parts = [folded(title, text, len(steps) <= OPEN_ROWS)]
    budget, rows, left = MOST_SOURCE, 0, 0
    for number, kernel in enumerate(program.kernels):
        loops = lines.html(format_kernel(kernel)).split("\n")
        rows += len(loops)
        if rows > MOST_ROWS and number:
            left += 1
            continue
        source, budget = _source(function, number, kernel, budget, lines)
        first = kernel.comment or (kernel.sources[0].short if kernel.sources else "")
        title = f'{escaped(kernel.name)} <span class="soft">{escaped(first)}</span>'
        content = f"<pre>{chr(10).join(loops)}</pre>\n{source}"
        parts.append(folded(title, content, rows <= OPEN_ROWS))
    if left:
        parts.append(left_out(f"{left:,} more kernels", "f.loops()"))
    assert function.stages.executable is not None
    kinds = ", ".join(
        f"f.{kind}()" for kind in function.stages.executable.texts if kind != "source"
    )
    if kinds and function.backend == DEFAULT:
        parts.append(left_out("code of the whole function", kinds))
    return "\n".join(parts)


def _source(
    function: "FunctionText", number: int, kernel: Kernel, budget: int, lines: Lines
) -> tuple[str, int]:
    """The generated code of a kernel, folded; and how much there may be of others after it."""
    text = function.source(number)
    if text == format_kernel(kernel):
        return "", budget
    kept = len(text) <= budget
    title = f'generated code <span class="soft">{len(text):,} characters</span>'
    if not kept:
        return left_out(f"generated code, {len(text):,} characters", f"f.source({number})"), budget
    code = f"<pre>{lines.html(text)}</pre>"
    return folded(title, code, is_open=False), budget - len(text)


# --- memory and time -----------------------------------------------------------------------------


def _memory(function: "FunctionText", sizes: Mapping[str, int], lines: Lines) -> str:
    """The plan as a picture and as text."""
    program, plan = function.stages.program, function.stages.plan
    if program is None or plan is None:
        if sizes:
            function.memory_plan(**sizes)  # which says why there is none
        return _without_program(function)
    known = checked_values(program, sizes)
    scratch = scratch_of(function.stages.executable)
    told = format_plan(program, plan, scratch, known, function._rewrites)
    rows = lines.html(told, program.buffers).split("\n")
    text = preformatted(rows, MOST_ROWS, "f.memory_plan()")
    text = folded("places and lives", text, len(rows) <= OPEN_ROWS)
    values = drawn_sizes(plan, known)
    if not plan.live_bytes(values):
        return f"<p>No temporaries: the arena is empty.</p>\n{text}"
    at = ", ".join(f"{name} = {value}" for name, value in values.items())
    notes = [
        "Steps from left to right, places in the arena from bottom to top",
        f"Drawn for {at}: f.to_html(sizes={values}) draws others" if at else "",
        "Green: in place of another" if plan.in_place else "",
        f"The {MOST_BLOCKS} largest of {len(plan.lives):,} temporaries"
        if len(plan.lives) > MOST_BLOCKS
        else "",
    ]
    caption = "".join(f"{escaped(note)}. " for note in notes if note)
    picture = memory_picture(program, plan, values)
    return f"<figure>{picture}\n<figcaption>{caption}</figcaption></figure>\n{text}"


def _profile(function: "FunctionText", lines: Lines) -> str:
    """The last profile that was taken: a row a step."""
    if function._profiled is None:
        return "<p>None was taken: <code>f.profile(*arrays)</code> before this page is made.</p>"
    program = function.stages.program
    assert program is not None
    head, *rows = function._profiled.rstrip("\n").split("\n")
    drawn = []
    for row in rows:
        share = row.partition("%")[0].strip()
        drawn.append(f"{_bar(float(share) / 100)} {lines.line(row, program.buffers)}")
    return f"<p>{escaped(head)}</p>\n{preformatted(drawn, MOST_ROWS, 'f.profile(*arrays)')}"
