"""What the Array API asks of a namespace: constants, questions about dtypes, inspection."""

import math
import re
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.errors import DTypeError, FunctionError
from graphc.other_names import HERE


def test_constants() -> None:
    assert (gc.e, gc.pi, gc.inf, gc.newaxis) == (math.e, math.pi, math.inf, None)
    assert math.isnan(gc.nan)
    assert gc.bool == np.bool_


def test_completion_shows_what_users_type() -> None:
    names = dir(gc)
    assert {"placeholder", "function", "nn", "random", "float32", "__version__"} <= set(names)
    assert not {"dims", "ir", "lapack", "loops", "recall"} & set(names)
    assert all(hasattr(gc, name) for name in names)
    for module in (gc.debug, gc.dtypes, gc.fft, gc.linalg, gc.nn, gc.stats):
        assert dir(module) == sorted(module.__all__)


def test_finfo_and_iinfo() -> None:
    limits = gc.finfo(gc.float32)
    assert (limits.bits, limits.eps, limits.dtype) == (32, 2**-23, gc.float32)
    assert limits.max == -limits.min == float(np.finfo("float32").max)
    assert type(limits.smallest_normal) is float
    assert gc.finfo(gc.placeholder("x", (), "float64")).bits == 64
    whole = gc.iinfo("uint8")
    assert (whole.bits, whole.min, whole.max, whole.dtype) == (8, 0, 255, gc.uint8)
    for ask, dtype in ((gc.finfo, "int8"), (gc.iinfo, "float32"), (gc.iinfo, "bool")):
        with pytest.raises(DTypeError, match=f"not for {dtype}"):
            ask(dtype)


def test_result_type_takes_tensors_arrays_dtypes_and_numbers() -> None:
    x = gc.placeholder("x", (), "int8")
    assert gc.result_type(x, np.zeros(2, "uint8"), 3) == np.int16
    assert gc.result_type(x, gc.float32) == gc.result_type(x, 1.5) == np.float32
    assert gc.result_type(x, True) == np.int8
    with pytest.raises(DTypeError, match=r"no common integer dtype[\s\S]*test_namespace.py"):
        gc.result_type(x, gc.uint64)
    with pytest.raises(DTypeError, match="at least one"):
        gc.result_type()


def test_can_cast() -> None:
    x = gc.placeholder("x", (), "int8")
    assert gc.can_cast(x, "int16") and gc.can_cast(gc.float32, gc.float64)
    assert not gc.can_cast(gc.float64, gc.float32) and not gc.can_cast(x, gc.uint8)


@pytest.mark.parametrize(
    ("dtype", "kinds"),
    [
        (gc.bool, {"bool"}),
        (gc.int8, {"signed integer", "integral", "numeric"}),
        (gc.uint64, {"unsigned integer", "integral", "numeric"}),
        (gc.float32, {"real floating", "numeric"}),
    ],
)
def test_isdtype(dtype: Any, kinds: set[str]) -> None:
    every = ("bool", "signed integer", "unsigned integer", "integral", "real floating")
    for kind in (*every, "complex floating", "numeric"):
        assert gc.isdtype(dtype, kind) == (kind in kinds)
    assert gc.isdtype(dtype, dtype) and gc.isdtype(dtype, ("complex floating", *kinds))
    assert not gc.isdtype(dtype, gc.int32)
    with pytest.raises(DTypeError, match="'float' is not a kind"):
        gc.isdtype(dtype, "float")


def test_inspection() -> None:
    info = gc.__array_namespace_info__()
    assert info.default_device() == "cpu" and info.devices() == ["cpu"]
    assert info.capabilities()["max dimensions"] is None
    assert info.default_dtypes()["real floating"] == gc.float32
    assert set(info.dtypes(kind=("bool", "real floating"))) == {"bool", "float32", "float64"}
    assert set(info.dtypes(kind="unsigned integer")) == {f"uint{8 * 2**k}" for k in range(4)}
    assert {"bool", "int64", "float64"} < set(info.dtypes(device="cpu"))
    with pytest.raises(FunctionError, match="no device"):
        info.dtypes(device="gpu")


def test_what_a_tensor_says_of_itself() -> None:
    x = gc.placeholder("x", ("n",))
    assert x.__array_namespace__() is x.__array_namespace__(api_version="2024.12") is gc
    assert gc.__array_api_version__ == "2024.12"
    with pytest.raises(ValueError, match=r"2024\.12"):
        x.__array_namespace__(api_version="1999.12")
    assert x.device == "cpu" and x.to_device("cpu") is x
    assert x.__dlpack_device__() == (1, 0)
    for device, stream in (("gpu", None), ("cpu", 1)):
        with pytest.raises(ValueError, match="backend="):
            x.to_device(device, stream=stream)
    for convert in (complex, float, int, np.from_dlpack):
        with pytest.raises(TypeError, match="E211"):
            convert(x)


def test_in_place_operators_bind_a_new_value() -> None:
    x = y = gc.placeholder("x", ("n",))
    y += 1
    assert y is not x
    np.testing.assert_array_equal(gc.run([x, y], {x: [1]})[1], [2])


def test_names_of_other_libraries_are_told() -> None:
    for name, here in HERE.items():
        assert not hasattr(gc, name), name
        for path in re.findall(r"graphc\.([a-z_0-9.]+)", here):
            found: Any = gc
            for part in path.split("."):
                found = getattr(found, part)
    for name, expected in {
        "concatenate": "graphc has no 'concatenate'; here that is graphc.concat",
        "ptp": "here that is graphc.max(x) - graphc.min(x)",
        "logsumexpp": "graphc has no 'logsumexpp'; did you mean graphc.logsumexp",
        "quite_else": "graphc has no 'quite_else'",
    }.items():
        with pytest.raises(AttributeError, match=re.escape(expected)):
            getattr(gc, name)
    with pytest.raises(AttributeError, match=r"graphc has no '_constant'$"):
        getattr(gc, "_" + "constant")  # tools look for such names; the search takes milliseconds
    with pytest.raises(ImportError):
        from graphc import concatenate  # type: ignore[attr-defined]  # noqa: F401
