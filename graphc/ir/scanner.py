"""One line of a printed graph, read from left to right: names, numbers, brackets, what is expected
next and what was found.
"""

import re
from collections.abc import Iterator
from typing import Any, NoReturn

import numpy as np

from graphc.dtypes import DType, all_dtypes, is_floating, short_name
from graphc.errors import ParseError

DTYPES = {dtype.name: dtype for dtype in all_dtypes}
SUFFIXES = {short_name(dtype): dtype for dtype in all_dtypes if dtype.kind != "b"}
NUMBER = r"(?:[0-9]+(?:\.[0-9]*)?(?:e[+-]?[0-9]+)?|inf|nan)"
PAIR = rf"\(-?{NUMBER}[+-]{NUMBER}j\)"  # a complex number
COMPLEX = re.compile(PAIR)
SCALAR = re.compile(rf"(-?{NUMBER}|{PAIR})({'|'.join(SUFFIXES)})(?!\w)|(True|False)(?!\w)")
NAME = re.compile(r"[^\W\d]\w*")
STRING = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"")
SYMBOL = re.compile(r"[-+*/%@&|^<>=!~]+|and\b|or\b|xor\b|not\b")
SOURCE = re.compile(r"(.+?):([0-9]+(?:,[0-9]+)*)(?:, |$)")


class Scanner:
    """One line and a position in it."""

    def __init__(self, text: str, number: int) -> None:
        self.text = text
        self.number = number
        self.position = 0

    def fail(self, message: str) -> NoReturn:
        raise ParseError(
            f"line {self.number}: {message}",
            details=[self.text, " " * self.position + "^"],
            fix="pass the text that format_graph printed",
        )

    def skip(self) -> None:
        while self.text[self.position : self.position + 1] == " ":
            self.position += 1

    def accept(self, text: str) -> bool:
        """Whether `text` comes next; if so it is consumed."""
        self.skip()
        if not self.text.startswith(text, self.position):
            return False
        self.position += len(text)
        return True

    def expect(self, text: str) -> None:
        if not self.accept(text):
            self.fail(f"expected {text!r}")

    def match(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        self.skip()
        found = pattern.match(self.text, self.position)
        if found is not None:
            self.position = found.end()
        return found

    def name(self) -> str:
        found = self.match(NAME)
        if found is None:
            self.fail("expected a name")
        return found.group()

    def at_end(self) -> bool:
        self.skip()
        return self.position == len(self.text)

    def items(self, closing: str) -> Iterator[None]:
        """Once per item of a list with commas between, up to and past `closing`."""
        while not self.accept(closing):
            yield
            if not self.accept(","):
                self.expect(closing)
                return

    def in_brackets(self) -> bool:
        """Whether the next item as a whole stands in brackets; `(n + 15)//16` does not."""
        self.skip()
        start = self.position
        text = self.piece()
        self.position = start
        if not text.startswith("("):
            return False
        depth = 0
        for place, character in enumerate(text):
            depth += (character in "([") - (character in ")]")
            if depth == 0:
                return place == len(text) - 1
        return True  # a bracket is missing; whoever reads on says which

    def piece(self) -> str:
        """The text up to a comma or closing bracket that is outside of all inner brackets."""
        start, depth = self.position, 0
        while self.position < len(self.text):
            character = self.text[self.position]
            if depth == 0 and character in ",)]":
                break
            depth += (character in "([") - (character in ")]")
            self.position += 1
        return self.text[start : self.position].strip()


def indentation(line: Scanner) -> int:
    """How many spaces a line begins with."""
    return len(line.text) - len(line.text.lstrip(" "))


def scalar_of(found: re.Match[str], line: Scanner) -> Any:
    """The number that SCALAR matched."""
    number, suffix, truth = found.groups()
    if truth is not None:
        return np.bool_(truth == "True")
    return element_of(number, SUFFIXES[suffix], line)


def complex_of(text: str) -> complex:
    """`(1.0-0.0j)` with the parts as they are written."""
    split = re.search(r"(?<![(e])[+-](?=[^+-]*(?:e[+-][0-9]+)?j)", text)
    if split is None:
        raise ValueError(text)
    return complex(float(text[1 : split.start()]), float(text[split.start() : -2]))


def element_of(text: str, dtype: DType, line: Scanner) -> Any:
    """One element as numpy prints it."""
    try:
        if dtype.kind == "b":
            return np.bool_({"True": True, "False": False}[text])
        if dtype.kind == "c":
            return dtype.type(complex_of(text))
        return dtype.type(text if is_floating(dtype) else int(text))
    except (KeyError, ValueError, OverflowError):
        line.fail(f"{text!r} is not a {dtype.name}")
