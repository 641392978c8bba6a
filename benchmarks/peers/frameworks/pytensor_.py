"""PyTensor with its default linker (numba since 3.0; BLAS is scipy's)."""

from frameworks._pytensor import flags, make

flags()
import pytensor  # noqa: E402

VERSION = f"{pytensor.__version__} numba"
build = make().build
