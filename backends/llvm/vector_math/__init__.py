"""Elementary functions as inline vector code, for float32 and float64 at any number of lanes."""

from graphc.backends.llvm.vector_math.table import EMITTERS, LIBM_SYMBOLS

__all__ = ["EMITTERS", "LIBM_SYMBOLS"]
