"""f.export: compiled functions as object files and headers, for programs without graphc."""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from graphc.backends.base import ExportableExecutable
from graphc.c_function import general_request, general_words
from graphc.errors import FunctionError
from graphc.ir.node import TensorType
from graphc.ir.tensor import Tensor
from graphc.whole_files import write_whole

if TYPE_CHECKING:
    from graphc.function import Function

_RESERVED = frozenset(
    (
        *("main", "malloc", "realloc", "free", "memset", "memcpy", "memcmp", "memmove", "time"),
        *("clock_gettime", "fmod", "fmodf", "sin", "cos", "tan", "sinf", "cosf", "tanf"),
        "graphc_exported",
    )
)


def export_function(
    function: "Function", path: str | os.PathLike[str], symbol: str | None
) -> tuple[Path, Path]:
    """See `Function.export`."""
    target = Path(path)
    if target.suffix not in (".o", ".obj"):
        raise FunctionError(
            f"{function.name}: {target.name!r} is no object file",
            code="E205",
            fix='give a path that ends in ".o"; the header is written beside it',
        )
    name = symbol or re.sub(r"\W", "_", function.name)
    if not re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII) or name in _RESERVED | _KEYWORDS:
        raise FunctionError(
            f"{function.name}: {name!r} is no name of a C function",
            code="E205",
            fix='give one: f.export(path, name="predict")',
        )
    executable = function.stages.executable
    if function._border is None or not isinstance(executable, ExportableExecutable):
        raise _refused(function, "it is not compiled by LLVM", 'backend="llvm"')
    if function._updated:
        raise _refused(function, "it updates variables", "export a function without updates")
    values = [np.asarray(variable.value) for variable in function.stages.graph.variables]
    made = executable.object_file(general_request(function, 0), values, name)
    if made is None:
        raise _refused(
            function,
            "it calls Python, or LAPACK, or its loops count their steps",
            "export what comes before and after",
        )
    header = target.with_suffix(".h")
    write_whole(target, lambda file: file.write(made))
    write_whole(header, lambda file: file.write(_header(function, name).encode()))
    return target, header


def _refused(function: "Function", reason: str, fix: str) -> FunctionError:
    return FunctionError(f"{function.name} cannot be exported: {reason}", code="E205", fix=fix)


def _header(function: "Function", name: str) -> str:
    graph, sizes = function.stages.user_graph, function.stages.size_names
    inputs, outputs = general_words(graph.inputs), general_words(graph.outputs)
    lines = ["/* Arrays are dense (C order) and overlap nothing; complex numbers are pairs.", " *"]
    arguments: list[tuple[str, str]] = []
    for word, tensor in zip(inputs, graph.inputs, strict=True):
        given = _identifier(tensor.name or "input", [a for a, _ in arguments])
        arguments.append((given, f"const {word} *{given}"))
        lines.append(f" * {given}: {_described(tensor)}")
    for size in sizes:
        given = _identifier(size, [a for a, _ in arguments])
        arguments.append((given, f"int64_t {given}"))
    for number, (word, tensor) in enumerate(zip(outputs, graph.outputs, strict=True)):
        taken = [a for a, _ in arguments]
        given = _identifier("result" if len(outputs) == 1 else f"result{number}", taken)
        arguments.append((given, f"{word} *{given}"))
        lines.append(f" * {given}: {_described(tensor)}, written")
    lines.append(
        " *\n * Returns 0, or another number if the call failed: an index out of range, sizes"
    )
    lines.append(" * that disagree, no memory. May be called in several threads at once. */")
    guard = f"GRAPHC_{name.upper()}_H"
    declared = f"int64_t {name}({', '.join(text for _, text in arguments) or 'void'});"
    return "\n".join(
        [
            f"#ifndef {guard}",
            f"#define {guard}",
            "#include <stdbool.h>",
            "#include <stdint.h>",
            "",
            "#ifdef __cplusplus",
            'extern "C" {',
            "#endif",
            "",
            *lines,
            declared,
            "",
            "#ifdef __cplusplus",
            "}",
            "#endif",
            "#endif",
            "",
        ]
    )


def _described(tensor: Tensor) -> str:
    type_: TensorType = tensor.type
    return str(type_).replace("*/", "")


def _identifier(name: str, taken: Sequence[str]) -> str:
    """A name in C: names of placeholders are data."""
    word = re.sub(r"\W", "_", name, flags=re.ASCII)
    word = f"{word}_" if word in _KEYWORDS or not word or word[0].isdigit() else word
    word = f"_{word}" if word[0].isdigit() else word
    while word in taken:
        word += "_"
    return word


_KEYWORDS = frozenset(
    (
        *("auto", "bool", "break", "case", "char", "class", "const", "continue", "default"),
        *("delete", "do", "double", "else", "enum", "extern", "false", "float", "for", "goto"),
        *("if", "inline", "int", "long", "namespace", "new", "operator", "private", "public"),
        *("register", "restrict", "return", "short", "signed", "sizeof", "static", "struct"),
        *("switch", "template", "this", "true", "typedef", "union", "unsigned", "using"),
        *("virtual", "void", "volatile", "while"),
    )
)
