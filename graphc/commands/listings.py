"""`graphc explain` and `graphc ops`: what there is to know."""

import textwrap

from rich.console import Console

from graphc.backends.llvm.cache import cache_folder, distrust, usage
from graphc.backends.llvm.cache import clear as clear_cache
from graphc.commands.terminal import UsageError, make_table, show_table
from graphc.error_catalog import CATALOG, FAMILIES
from graphc.ir.lowering import Composite, Leaf
from graphc.ir.opdef import OpDef
from graphc.ir.registry import FUNCTIONS, OPS


def explain(console: Console, code: str) -> None:
    """One error code in full."""
    wanted = code.strip().strip("[]").upper()
    entry = CATALOG.get(wanted)
    if entry is None:
        raise UsageError(f"there is no error code {code!r}", "graphc explain lists all codes")
    console.print(f"{wanted}  {entry.title}", style="bold")
    console.print(f"\n{textwrap.fill(entry.text, 88)}")
    for label, text in (("this raises it", entry.example), ("this does not", entry.fixed)):
        if text:
            console.print(f"\n{label}", style="dim")
            console.print(textwrap.indent(text.strip(), "    "))


def list_errors(console: Console) -> None:
    """All codes, by family."""
    for family, meaning in FAMILIES.items():
        console.print(f"\n{family}xx  {meaning}", style="bold")
        for code, entry in sorted(CATALOG.items()):
            if code.startswith(family):
                console.print(f"  {code}  {entry.title}")
    console.print("\ngraphc explain CODE shows one with an example", style="dim")


def list_ops(console: Console, filter_text: str) -> None:
    """The registered ops whose name or traits contain the text."""
    rows = [
        (op.name, op.symbol or "", form(op), derivative(op), ", ".join(sorted(op.traits)), doc(op))
        for op in sorted(OPS.values(), key=lambda op: op.name)
        if not isinstance(op.lower, Leaf)
    ]
    shown = [row for row in rows if filter_text in row[0] or filter_text in row[4]]
    table = make_table("", ["op", "sign", "form", "derivative", "traits", "meaning"])
    for row in shown:
        table.add_row(*row)
    show_table(console, table)
    console.print(f"{len(shown)} of {len(rows)} ops", style="dim")


def form(op: OpDef) -> str:
    """How the op lowers: elementwise, reduction, composite, ..."""
    name = type(op.lower).__name__
    combine = getattr(op.lower, "combine", None)
    return f"{name.lower()} {combine}" if combine else name.lower()


def derivative(op: OpDef) -> str:
    if op.vjp is not None:
        return "both" if op.jvp is not None else "reverse"
    if isinstance(op.lower, Composite) and "nondifferentiable" not in op.traits:
        return "of its parts"
    return "none"


def doc(op: OpDef) -> str:
    """The first line of the docstring of the public function of that name."""
    function = FUNCTIONS.get(op.name)
    lines = (function.__doc__ or "").strip().splitlines() if function is not None else []
    return lines[0] if lines else ""


def show_cache(console: Console, clear: bool) -> None:
    """Where compiled objects are kept and how many; with `clear` they are removed."""
    folder = cache_folder()
    if folder is None:
        console.print("compiled objects are not kept: GRAPHC_CACHE is off, or there is no home")
        return
    if clear:
        console.print(f"{folder}: removed {clear_cache(folder)} compiled objects")
        return
    count, size = usage(folder)
    console.print(f"{folder}: {count} compiled objects, {size / 2**20:.1f} MiB")
    doubt = distrust(folder)
    if doubt is not None:
        console.print(f"not used: {doubt}", style="yellow")
