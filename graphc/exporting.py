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
from graphc.whole_files import place_of_file, write_whole

if TYPE_CHECKING:
    from graphc.function import Function


def export_function(
    function: "Function", path: str | os.PathLike[str], symbol: str | None
) -> tuple[Path, Path]:
    """See `Function.export`."""
    target = Path(path)
    if target.suffix not in (".o", ".obj"):
        raise FunctionError(
            f"{function.name}: {target.name!r} is no object file",
            code="E205",
            fix=f'give a path that ends in ".o"{_example(target)}; the header is written beside it',
        )
    name = re.sub(r"\W", "_", function.name) if symbol is None else symbol
    if not isinstance(name, str) or not _is_free(name):
        raise FunctionError(
            f"{function.name}: {name!r:.60} is no name of a C function",
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
    for path in (target, header):  # both are written, or none
        place_of_file(path)
    write_whole(header, lambda file: file.write(_header(function, name).encode()))
    write_whole(target, lambda file: file.write(made))
    return target, header


def _example(target: Path) -> str:
    return f": {str(target / 'f.o')!r}" if target.is_dir() else ""


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
    word = f"_{word}" if not word or word[0].isdigit() else word
    while word in taken or _means_something(word):
        word += "_"
    return word


def _is_free(name: str) -> bool:
    """Whether a function of C or C++ can have this name."""
    form = re.fullmatch(r"(?!_[A-Z_])[A-Za-z_]\w*", name, re.ASCII)
    return form is not None and not _means_something(name) and name not in _FUNCTIONS


def _means_something(word: str) -> bool:
    """Whether it is a word of C or C++, or a type or macro of the headers."""
    header = re.fullmatch(r"\w+_t|U?INT\w*_(MAX|MIN|C|WIDTH)", word)
    return word in _KEYWORDS or header is not None


_KEYWORDS = frozenset(
    (
        *("alignas", "alignof", "and", "and_eq", "asm", "auto", "bitand", "bitor", "bool", "break"),
        *("case", "catch", "char", "class", "compl", "concept", "const", "consteval", "constexpr"),
        *("constinit", "continue", "decltype", "default", "delete", "do", "double", "else", "enum"),
        *("explicit", "export", "extern", "false", "float", "for", "friend", "goto", "if"),
        *("inline", "int", "linux", "long", "mutable", "namespace", "new", "noexcept", "not"),
        *("not_eq", "nullptr", "operator", "or", "or_eq", "private", "protected", "public"),
        *("register", "requires", "restrict", "return", "short", "signed", "sizeof", "static"),
        *("struct", "switch", "template", "this", "throw", "true", "try", "typedef", "typeid"),
        *("typename", "typeof", "union", "unix", "unsigned", "using", "virtual", "void"),
        *("volatile", "while", "xor", "xor_eq"),
    )
)
# Names of C's library: its functions would be replaced, and compilers know their types.
_FUNCTIONS = frozenset(
    (
        *("main", "malloc", "calloc", "realloc", "free", "memset", "memcpy", "memcmp", "memmove"),
        *("time", "clock_gettime", "abort", "exit", "abs", "labs", "llabs", "printf", "puts"),
        *("index", "rindex", "graphc_exported"),
        *(
            f"{function}{kind}"
            for kind in ("", "f", "l")
            for function in (
                *("acos", "acosh", "asin", "asinh", "atan", "atan2", "atanh", "cbrt", "ceil"),
                *("conj", "copysign", "cos", "cosh", "erf", "erfc", "exp", "exp2", "expm1"),
                *("fabs", "fdim", "floor", "fma", "fmax", "fmin", "fmod", "frexp", "gamma"),
                *("hypot", "ilogb", "j0", "j1", "jn", "ldexp", "lgamma", "log", "log10", "log1p"),
                *("log2", "logb", "lrint", "lround", "modf", "nan", "nearbyint", "nextafter"),
                *("pow", "remainder", "rint", "round", "scalb", "significand", "sin", "sinh"),
                *("sqrt", "tan", "tanh", "tgamma", "trunc", "y0", "y1", "yn"),
            )
        ),
    )
)
