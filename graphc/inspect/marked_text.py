"""Texts of the stages as HTML: everything escaped, values and the user's lines marked.

A value is marked by its name and the graph that it belongs to, or as a buffer of the program; the
script of the page finds its uses by that. Lines of the user's are found by the names of the files
they are in, buffers by their names.
"""

import html
import os
import re
from collections.abc import Container, Iterable, Sequence
from itertools import count

from graphc.ir.graph import Graph
from graphc.ir.printer import Names, format_graph
from graphc.ir.source import Source
from graphc.loops.printer import one_line

# Characters of nobody: a name stands between the first, or one of those after it, and the last.
FIRST_SCOPE, END = 0xF0000, "\ue000"
MOST_SCOPES = 60_000  # graphs with their bodies; of more, values are not told apart
BUFFER = "b"  # the scope of buffers
# A name; but not the x in `n x 8 x 16`.
NAME = re.compile(r"\b(?:(?<![\w)] )\w+\b|\w+\b(?! [\w(]))")
MARKED = re.compile(f"([{chr(FIRST_SCOPE)}-{chr(FIRST_SCOPE + MOST_SCOPES)}])(\\w+){END}")


class MarkedGraphs:
    """Graphs as text in which every name of a value is marked."""

    def __init__(self) -> None:
        self._scopes = count()

    def text(self, graph: Graph) -> str:
        return format_graph(graph, self._names, _width)

    def _names(self, graph: Graph) -> Names:
        names = Names(graph)
        start = chr(FIRST_SCOPE + min(next(self._scopes), MOST_SCOPES))
        names.of = {key: f"{start}{name}{END}" for key, name in names.of.items()}
        return names


def _width(text: str) -> int:
    return len(text) - 2 * text.count(END)


def escaped(text: str) -> str:
    """One line of text as HTML; what cannot be printed as its number."""
    return html.escape(text if text.isprintable() else one_line(text))


class Lines:
    """Marks the user's lines in texts."""

    def __init__(self, sources: Iterable[Source]) -> None:
        self.sources = tuple(dict.fromkeys(sources))
        files = {os.path.basename(source.filename) for source in self.sources}
        files |= {" ".join(file.split()) for file in files}  # as graphs spell them
        names = sorted({escaped(file) for file in files if file}, key=len, reverse=True)
        self._pattern = re.compile(rf"(?<![\w.])({'|'.join(map(re.escape, names))}):(\d+(?:,\d+)*)")
        self._has_files = bool(names)

    def html(self, text: str, buffers: Container[str] = ()) -> str:
        """A text of several lines as HTML; see `line`."""
        return "\n".join(self.line(line, buffers) for line in text.rstrip("\n").split("\n"))

    def line(self, text: str, buffers: Container[str] = ()) -> str:
        """A line as HTML: its values and the user's lines are marked, and these buffers."""
        if END in text:
            parts = MARKED.split(text)
            named = zip(parts[1::3], parts[2::3], parts[3::3], strict=True)
            result = escaped(parts[0]) + "".join(
                value_mark(ord(scope) - FIRST_SCOPE, name) + escaped(plain)
                for scope, name, plain in named
            )
        else:
            result = _with_buffers(text, buffers) if buffers else escaped(text)
        return self._pattern.sub(_lines, result) if self._has_files else result


def _with_buffers(text: str, buffers: Container[str]) -> str:
    parts, end = [], 0
    for found in NAME.finditer(text):
        if found[0] in buffers:
            parts += [escaped(text[end : found.start()]), value_mark(BUFFER, found[0])]
            end = found.end()
    return "".join([*parts, escaped(text[end:])])


def value_mark(scope: int | str, name: str) -> str:
    return f'<i data-v="{scope}.{name}">{name}</i>'


def _lines(match: re.Match[str]) -> str:
    file, numbers = match[1], match[2].split(",")
    shown = [f"{file}:{numbers[0]}", *numbers[1:]]
    return ",".join(
        f'<u data-s="{file}:{number}">{text}</u>'
        for number, text in zip(numbers, shown, strict=True)
    )


def folded(title: str, content: str, is_open: bool) -> str:
    """Content that can be folded. title, content: HTML."""
    return f"<details{' open' * is_open}><summary>{title}</summary>\n{content}\n</details>"


def preformatted(rows: Sequence[str], most: int, whole: str) -> str:
    """Rows of HTML as they are, cut after so many. whole: how to get all of them."""
    left = len(rows) - most
    text = f"<pre>{chr(10).join(rows[:most])}</pre>"
    return text if left <= 0 else f"{text}\n{left_out(f'{left:,} more lines', whole)}"


def left_out(what: str, whole: str) -> str:
    """A note that something is not on the page. whole: Python that gives it."""
    return f'<p class="soft">... {escaped(what)}: <code>{escaped(whole)}</code></p>'
