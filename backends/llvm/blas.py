"""Where the matrix products of BLAS come from: numpy's own OpenBLAS, else scipy's.

    numpy    the OpenBLAS that numpy has loaded, through CBLAS with 64-bit integers
    scipy    scipy.linalg.cython_blas: Fortran routines with 32-bit integers

A provider is found once a process. Code refers to the routines by the names of `SYMBOLS`.
"""

import ctypes
import importlib
from collections.abc import Mapping
from functools import cache
from typing import Literal, NamedTuple

from graphc.backends.blas_threads import openblas_paths

ROUTINES = ("sgemm", "dgemm", "sgemv", "dgemv")


class Blas(NamedTuple):
    """style: how routines are called; addresses: routine name -> address in this process."""

    style: Literal["cblas", "fortran"]
    addresses: Mapping[str, int]


@cache
def find_blas() -> Blas | None:
    """The first provider there is."""
    return _numpy_openblas() or _scipy_blas()


def _numpy_openblas() -> Blas | None:
    for path in openblas_paths():
        try:
            library = ctypes.CDLL(path)
        except OSError:
            continue
        addresses: dict[str, int] = {}
        for routine in ROUTINES:
            function = getattr(library, f"scipy_cblas_{routine}64_", None)
            address = function and ctypes.cast(function, ctypes.c_void_p).value
            if address:
                addresses[routine] = address
        if len(addresses) == len(ROUTINES):
            return Blas("cblas", addresses)
    return None


def _scipy_blas() -> Blas | None:
    try:
        table = importlib.import_module("scipy.linalg.cython_blas").__pyx_capi__
    except (ImportError, AttributeError):
        return None
    get_name = ctypes.pythonapi.PyCapsule_GetName
    get_name.restype, get_name.argtypes = ctypes.c_char_p, [ctypes.py_object]
    get_pointer = ctypes.pythonapi.PyCapsule_GetPointer
    get_pointer.restype = ctypes.c_void_p
    get_pointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
    return Blas(
        "fortran",
        {name: get_pointer(table[name], get_name(table[name])) for name in ROUTINES},
    )
