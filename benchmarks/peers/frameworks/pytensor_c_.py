"""PyTensor with the C linker; $BENCH_BLAS_LDFLAGS names a BLAS to link."""

import os

from frameworks._pytensor import flags, make

flags(linker="cvm", blas__ldflags=os.environ.get("BENCH_BLAS_LDFLAGS", ""))
import pytensor  # noqa: E402

VERSION = (
    f"{pytensor.__version__} C, {'BLAS linked' if pytensor.config.blas__ldflags else 'no BLAS'}"
)
build = make().build
