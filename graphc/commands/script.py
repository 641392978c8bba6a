"""Scripts: run one to its end, or statement by statement until a function is there."""

import __future__

import ast
import linecache
import runpy
import sys
import traceback
import types
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

from graphc.commands.terminal import UsageError
from graphc.errors import GraphcError
from graphc.function import Function
from graphc.records import dataclass


@dataclass(frozen=True, slots=True)
class Target:
    """`script.py:train`: a script and the name of a compiled function in it."""

    path: Path
    name: str


class ScriptError(Exception):
    """An exception in a user's script; `exception` is what it raised."""

    def __init__(self, exception: BaseException, path: Path) -> None:
        super().__init__(str(exception))
        self.exception = exception
        self.path = path


# --- running a whole script ----------------------------------------------------------------------


def run_script(path: Path, arguments: Sequence[str]) -> None:
    """Run a script as `python script.py arguments` does. ScriptError for what it raises."""
    check_is_file(path)
    with script_environment(path, arguments):
        try:
            runpy.run_path(str(path), run_name="__main__")
        except Exception as error:
            raise ScriptError(error, path) from error


def check_is_file(path: Path) -> None:
    if not path.is_file():
        raise UsageError(f"there is no file {path}")


@contextmanager
def script_environment(path: Path, arguments: Sequence[str]) -> Iterator[None]:
    """sys.argv and sys.path as a script finds them."""
    saved_argv, saved_path = sys.argv, sys.path
    sys.argv = [str(path), *arguments]
    sys.path = [str(path.resolve().parent), *sys.path]
    try:
        yield
    finally:
        sys.argv, sys.path = saved_argv, saved_path


# --- running a script up to a function -----------------------------------------------------------


def parse_target(text: str) -> Target:
    """The parts of `script.py:train`. UsageError with the candidates if a part is missing."""
    path_text, colon, name = text.rpartition(":")
    if not colon or not name.isidentifier():
        path = Path(text.rstrip(":"))
        found = ", ".join(functions_in(path)) if path.is_file() else ""
        raise UsageError(
            f"{text!r} does not name a function",
            f"write script.py:name; functions there: {found}" if found else "write script.py:name",
        )
    check_is_file(Path(path_text))
    return Target(Path(path_text), name)


def functions_in(path: Path) -> list[str]:
    """Names that look like `name = gc.function(...)`, read off the text without running it."""
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):
        return []
    found: dict[str, None] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
            called = node.value.func
            name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
            if name == "function":
                found.update((t.id, None) for t in node.targets if isinstance(t, ast.Name))
    return list(found)


def load_function(target: Target) -> Function:
    """The compiled function that the script binds to the target's name.

    The script's top-level statements run one by one, with `__name__ == "__main__"` and what they
    print thrown away, and the script stops as soon as the name holds a compiled function: training
    that follows is not run. The bodies of top-level `if` statements are taken statement by
    statement as well; other compound statements run as a whole. ScriptError for what the script
    raises, UsageError if the name is never bound to a compiled function.
    """
    module = types.ModuleType("__main__")
    namespace = module.__dict__
    namespace["__file__"] = str(target.path)
    namespace["__builtins__"] = __builtins__
    saved = sys.modules["__main__"]
    sys.modules["__main__"] = module
    try:
        with script_environment(target.path, ()), redirect_stdout(StringIO()):
            try:
                _execute(target, namespace)
            except SystemExit:
                pass  # it ended by itself; what it has bound until then counts
            except Exception as error:
                raise ScriptError(error, target.path) from error
    finally:
        sys.modules["__main__"] = saved
    value = namespace.get(target.name)
    if not isinstance(value, Function):
        others = [name for name, item in namespace.items() if isinstance(item, Function)]
        problem = "is no compiled function" if target.name in namespace else "is never assigned"
        raise UsageError(
            f"{target.name!r} {problem} at the top level of {target.path}",
            f"compiled functions there: {', '.join(others)}" if others else "",
        )
    return value


def _execute(target: Target, namespace: dict[str, Any]) -> None:
    text = target.path.read_bytes()
    tree = ast.parse(text, filename=str(target.path))
    namespace["__doc__"] = ast.get_docstring(tree, clean=False)
    linecache.checkcache(str(target.path))
    filename, flags = str(target.path), 0
    pending: list[Iterator[ast.stmt]] = [iter(tree.body)]
    while pending:
        statement = next(pending[-1], None)
        if statement is None:
            pending.pop()
        elif isinstance(statement, ast.If):
            test = compile(ast.Expression(statement.test), filename, "eval", flags, True)
            chosen = statement.body if eval(test, namespace) else statement.orelse
            pending.append(iter(chosen))
        else:
            flags |= _future_flags(statement)
            code = compile(ast.Module([statement], []), filename, "exec", flags, True)
            exec(code, namespace)
            if isinstance(namespace.get(target.name), Function):
                return


def _future_flags(statement: ast.stmt) -> int:
    """What `from __future__ import ...` asks of the statements that follow."""
    if not isinstance(statement, ast.ImportFrom) or statement.module != "__future__":
        return 0
    flags = 0
    for alias in statement.names:
        feature = getattr(__future__, alias.name, None)
        flags |= feature.compiler_flag if feature is not None else 0
    return flags


# --- reporting -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ScriptLine:
    """A line of the script, for errors that do not know where they were written."""

    path: Path
    line: int
    text: str

    def describe(self) -> str:
        return f"{self.path.name}:{self.line}   {self.text}".rstrip()


def describe_error(error: GraphcError, path: Path | None = None) -> str:
    """The message of an error of graphc, with the line of the script if it has none itself."""
    if error.source is None and path is not None:
        frames = traceback.extract_tb(error.__traceback__)
        own = [frame for frame in frames if frame.filename == str(path)]
        if own:
            error.source = ScriptLine(path, own[-1].lineno or 0, own[-1].line or "")
    return f"graphc.{type(error).__name__} {error}\n  more      graphc explain {error.code}"


def describe_exception(error: BaseException, path: Path) -> str:
    """A Python traceback that begins at the script, as `python script.py` would show it."""
    shown = traceback.TracebackException.from_exception(error)
    frames = list(shown.stack)
    first = next((k for k, frame in enumerate(frames) if frame.filename == str(path)), None)
    if first is None and isinstance(error, SyntaxError):  # nothing of the script has run
        return "".join(shown.format_exception_only()).rstrip()
    first = first or 0
    shown.stack = traceback.StackSummary.from_list(frames[first:])
    return "".join(shown.format()).rstrip()
