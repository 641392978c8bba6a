"""The command line: `graphc run | inspect | bench | doctor | explain | cache | ops`.

Commands import what they run when they are called.
"""

import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

app = typer.Typer(
    name="graphc",
    help="Compiles computation graphs to native code, and shows how.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

FunctionTarget = Annotated[
    str, typer.Argument(metavar="SCRIPT.PY:NAME", help="A script and a compiled function in it.")
]
PASS_ON = {"allow_extra_args": True, "ignore_unknown_options": True}


@app.command(context_settings={**PASS_ON, "allow_interspersed_args": False})
def run(
    script: Annotated[Path, typer.Argument(help="A Python script.")],
    arguments: Annotated[list[str] | None, typer.Argument(help="Arguments for it.")] = None,
) -> None:
    """Run a script; errors of graphc are shown as their message alone."""
    from graphc.commands.script import run_script

    run_script(script, arguments or [])


@app.command()
def inspect(
    target: FunctionTarget,
    before: Annotated[bool, typer.Option("--before", help="The graph as written.")] = False,
    after: Annotated[bool, typer.Option("--after", help="The graph after the passes.")] = False,
    rewrites: Annotated[bool, typer.Option("--rewrites", help="What the passes did.")] = False,
    kernels: Annotated[bool, typer.Option("--kernels", help="The steps, a line each.")] = False,
    loops: Annotated[bool, typer.Option("--loops", help="The kernels as loops.")] = False,
    memory: Annotated[bool, typer.Option("--memory", help="The memory plan.")] = False,
    llvm: Annotated[bool, typer.Option("--llvm", help="The LLVM text.")] = False,
    asm: Annotated[bool, typer.Option("--asm", help="The assembly.")] = False,
    source: Annotated[
        list[int] | None,
        typer.Option("--source", metavar="N", help="The generated code of kernel N."),
    ] = None,
    dot: Annotated[
        Path | None, typer.Option("--dot", help="Draw the graph: a .svg or .dot file.")
    ] = None,
    html: Annotated[
        Path | None, typer.Option("--html", help="All of it as one page, with pictures.")
    ] = None,
    backend: Annotated[
        str | None, typer.Option("--backend", help="Compile for this backend instead.")
    ] = None,
) -> None:
    """Show how a function was compiled.

    The script's top-level statements run one by one, without their output, until NAME holds a
    compiled function; what follows, such as training, is not run. Without options: a summary.
    """
    from graphc.commands import show
    from graphc.commands.bench import recompile
    from graphc.commands.script import load_function, parse_target
    from graphc.commands.terminal import make_console

    function = load_function(parse_target(target))
    if backend is not None:
        function = recompile(function, backend)
    console = make_console()
    chosen = {
        "before": before,
        "after": after,
        "rewrites": rewrites,
        "kernels": kernels,
        "loops": loops,
        "memory": memory,
        "llvm": llvm,
        "asm": asm,
    }
    views = [name for name, wanted in chosen.items() if wanted]
    if dot is not None:
        show.write_dot(console, function, dot, "before" if views == ["before"] else "after")
    if html is not None:
        show.write_page(console, function, html)
    if dot is not None or html is not None:
        return
    if views or source:
        show.show_views(console, function, views, source or [])
    else:
        show.show_summary(console, function)


@app.command()
def bench(
    target: FunctionTarget,
    shape: Annotated[
        list[str] | None,
        typer.Option("--shape", metavar="N=32,400", help="Values of a symbolic size."),
    ] = None,
    backends: Annotated[
        str, typer.Option("--backends", help="Backends, separated by commas.")
    ] = "llvm,numba_cpu,reference",
    against: Annotated[
        str | None,
        typer.Option("--against", help="What has speed 1: a backend, or numpy (op by op)."),
    ] = None,
    ranges: Annotated[
        list[str] | None,
        typer.Option("--range", metavar="Y=0:10", help="Values of an integer input."),
    ] = None,
    seconds: Annotated[float, typer.Option("--seconds", help="Time per row of sizes.")] = 1.0,
    threads: Annotated[int | None, typer.Option("--threads", help="Threads to run on.")] = None,
) -> None:
    """Time a function on several backends with random feeds, and compare the results.

    Every symbolic size has its --shape (32 by default); several values make several rows. Calls
    are interleaved. Variables keep their values. numpy is the graph as written, op by op.
    """
    from graphc.commands import bench as command
    from graphc.commands.feeds import parse_ranges, parse_shapes
    from graphc.commands.script import load_function, parse_target
    from graphc.commands.terminal import UsageError, make_console

    function = load_function(parse_target(target))
    sizes = parse_shapes(shape or [], function)
    bounds = parse_ranges(ranges or [], function)
    names = [name.strip() for name in backends.split(",") if name.strip()]
    candidates = command.on_backends(function, names, threads)
    if against not in (None, command.NUMPY, *candidates.functions):
        raise UsageError(f"--against {against}: not among the backends, nor numpy")
    if not candidates.functions:
        reasons = [f"{name}: {reason}" for name, reason in candidates.failed.items()]
        raise UsageError(f"none of {', '.join(names)} compiles", "\n".join(reasons))
    rows = [
        command.measure(function, candidates.functions, size, bounds, against, seconds)
        for size in sizes
    ]
    if not command.show(make_console(), repr(function).strip("<>"), rows, candidates.failed):
        raise typer.Exit(1)


@app.command()
def doctor() -> None:
    """Check this machine: software, processor, and every backend on a small function."""
    from graphc.commands.doctor import examine
    from graphc.commands.terminal import make_console

    if not examine(make_console()):
        raise typer.Exit(1)


@app.command()
def explain(
    code: Annotated[str | None, typer.Argument(help="An error code such as E101.")] = None,
) -> None:
    """Explain an error code, with an example; without a code, list them all."""
    from graphc.commands import listings
    from graphc.commands.terminal import make_console

    if code is None:
        listings.list_errors(make_console())
    else:
        listings.explain(make_console(), code)


@app.command()
def cache(
    clear: Annotated[bool, typer.Option("--clear", help="Remove all compiled objects.")] = False,
) -> None:
    """Show where compiled objects are kept, and how many; or remove them."""
    from graphc.commands.listings import show_cache
    from graphc.commands.terminal import make_console

    show_cache(make_console(), clear)


@app.command()
def ops(
    text: Annotated[str, typer.Argument(help="Part of a name or trait.")] = "",
) -> None:
    """List the registered ops: how they lower, whether they have derivatives, their traits."""
    from graphc.commands.listings import list_ops
    from graphc.commands.terminal import make_console

    list_ops(make_console(), text)


def fail(lines: str, status: int) -> NoReturn:
    from graphc.commands.terminal import make_console

    make_console(error=True).print(lines)
    sys.exit(status)


def main() -> None:
    """The console script. Exit status 1 for errors in scripts, 2 for unusable command lines."""
    from graphc.commands.script import ScriptError, describe_error, describe_exception
    from graphc.commands.terminal import UsageError
    from graphc.errors import GraphcError

    try:
        app()
    except ScriptError as failure:
        error = failure.exception
        if isinstance(error, GraphcError):
            fail(describe_error(error, failure.path), 1)
        fail(describe_exception(error, failure.path), 1)
    except GraphcError as error:
        fail(describe_error(error), 1)
    except UsageError as error:
        fail("\n".join(["graphc: " + error.message, *([error.hint] if error.hint else [])]), 2)


if __name__ == "__main__":
    main()
