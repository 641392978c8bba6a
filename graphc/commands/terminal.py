"""Output of the commands: text for people in a terminal and for programs in a pipe."""

import sys
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

PIPE_WIDTH = 160  # columns of tables where the output is no terminal


class UsageError(Exception):
    """A command line that cannot be followed. hint: what to do instead."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


def make_console(error: bool = False) -> Console:
    """A console that neither interprets nor breaks what users named."""
    stream = sys.stderr if error else sys.stdout
    width = None if stream.isatty() else PIPE_WIDTH
    return Console(
        file=stream, width=width, markup=False, highlight=False, emoji=False, soft_wrap=True
    )


def heading(console: Console, title: str) -> None:
    """A title with a rule behind it."""
    width = min(console.width, 100)
    rule = "─" * max(3, width - len(title) - 4)
    console.print()
    console.print(Text.assemble(("── ", "dim"), (title, "bold cyan"), (f" {rule}", "dim")))


def make_table(title: str, columns: Sequence[str], right: Iterable[str] = ()) -> Table:
    """An empty table; `right` are the columns that are aligned to the right."""
    table = Table(title=title or None, title_justify="left", header_style="bold", box=None)
    aligned = set(right)
    for column in columns:
        table.add_column(column, justify="right" if column in aligned else "left")
    return table


def show_table(console: Console, table: Table) -> None:
    console.print(table, soft_wrap=False)


def status(ok: bool, text: str) -> Text:
    """`ok      llvm ...` or `failed  llvm ...`, coloured."""
    word, colour = ("ok", "green") if ok else ("failed", "bold red")
    return Text.assemble((f"{word:<8}", colour), text)
