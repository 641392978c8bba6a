"""What objects import: symbols of C, LAPACK, Python and our threads, and where they lie."""

from collections.abc import Iterable, Mapping

from graphc.backends.llvm.heap import python_symbols
from graphc.backends.llvm.jit import library_symbols
from graphc.backends.llvm.one_thread import PARALLEL, one_thread_address
from graphc.backends.llvm.pool import parallel_address
from graphc.backends.llvm.vector_math import LIBM_SYMBOLS
from graphc.lapack_calls import routine_address

C_SYMBOLS = (
    *("fmod", "fmodf", "memset", "memcpy", "memcmp", "memmove", "realloc", "free", "time"),
    "clock_gettime",
)


def known_symbols(lapack: Mapping[str, str]) -> dict[str, int]:
    """Where symbols lie in this process, but for our threads. lapack: the library of each
    routine."""
    known = dict(library_symbols(LIBM_SYMBOLS + C_SYMBOLS))
    known.update({symbol: routine_address(symbol, library) for symbol, library in lapack.items()})
    known.update(python_symbols())
    return known


def addresses(
    names: Iterable[str], known: Mapping[str, int], threads: int | None = None
) -> dict[str, int]:
    """Those of the names that are imported; threads are made ready if they are among them.

    threads: how many the code will have, at most, if that is known."""
    wanted = set(names)
    found = {name: at for name, at in known.items() if name in wanted}
    if PARALLEL in wanted:
        found[PARALLEL] = one_thread_address() if threads == 1 else parallel_address()
    return found
