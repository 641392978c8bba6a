"""Backends by name; the one place that imports lazily, so that unused backends cost nothing."""

from collections.abc import Callable

# The default backend is loaded with graphc, so that the first function need not wait for it.
import graphc.backends.llvm.backend  # noqa: F401
from graphc.backends.base import Backend
from graphc.errors import BackendError, MissingExtraError
from graphc.late_imports import late_module

_MODULES = {
    "llvm": "graphc.backends.llvm.backend",
    "numba_cpu": "graphc.backends.numba_cpu.backend",
    "interpreter": "graphc.backends.interpreter.backend",
}
# The graph interpreter takes graphs, not programs: the compiler calls it itself.
REFERENCE = "reference"
DEFAULT = "llvm"


def backend_names() -> tuple[str, ...]:
    return (*_MODULES, REFERENCE)


def get_backend(name: str) -> Backend:
    """The program backend called `name` ("auto" is llvm). BackendError if there is none."""
    name = DEFAULT if name == "auto" else name
    if name not in _MODULES:
        raise BackendError(
            f"unknown backend {name!r}",
            code="E501",
            details=[f"allowed: auto, {', '.join(backend_names())}"],
            fix='use backend="auto"',
        )
    try:
        module = late_module(_MODULES[name])
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.startswith("graphc"):
            raise
        raise MissingExtraError(
            f"backend {name!r} needs the package {error.name!r}",
            fix=f"pip install {error.name}",
        ) from error
    make: Callable[[], Backend] = module.make_backend
    return make()
