"""Discrete Fourier transforms along axes: complex to complex, real to complex, and back.

    fourier             y[k] = c sum_j x[j] w^(jk)                     complex numbers, any axes
    real_fourier        the same for real x, k = 0 ... n // 2          one axis
    hermitian_fourier   the same for x with x[n - j] = conj(x[j]), of which j = 0 ... n // 2 is
                        given: y is real                               one axis

w = exp(-2 pi i / n), or its conjugate for the inverse direction; c = 1, 1 / sqrt(n) or 1 / n, as
attrs["scale"] says. The matrices are symmetric, so the derivatives are transforms again. Those of
known length become steps that are compiled (fourier_steps), where it has small prime factors; the
others are computed by scipy.fft, one host call each, on numbers in their own precision.

After complex tensors have become pairs (`passes.complex_parts`), complex numbers stand in a
trailing axis of 2, and attrs["pairs"] is True.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from graphc.conversion import complex_view, real_view
from graphc.dims import floor_div
from graphc.dtypes import DType, complex_dtype, is_complex, real_dtype
from graphc.errors import DTypeError, ShapeError
from graphc.ir.batch import shifted
from graphc.ir.leaf import constant
from graphc.ir.lowering import HostCall
from graphc.ir.node import Attributes, Node, TensorType
from graphc.ir.opdef import Application, Example, Generator, Gradients, Inference, OpDef
from graphc.ir.parts import Parts, Value, joined
from graphc.ir.registry import Builder, register
from graphc.ir.tensor import Tensor
from graphc.late_imports import late_module
from graphc.ops.fourier_steps import complex_steps, has_steps, hermitian_steps, real_steps
from graphc.shapes import Shape, Size, dim_max

__all__ = ["fourier", "hermitian_fourier", "real_fourier"]

SCIPY = "scipy.fft"
FORWARD = {"one": "backward", "root": "ortho", "count": "forward"}
INVERSE = {"one": "forward", "root": "ortho", "count": "backward"}


def _scipy() -> Any:
    """scipy.fft, which takes longer to import than the rest of graphc: with the first transform."""
    return late_module(SCIPY)


def half(size: Size) -> Size:
    """How many numbers of a symmetric spectrum are kept."""
    return floor_div(size, 2) + 1


def _require_elements(call: Inference, size: Size, axis: int) -> None:
    if isinstance(size, int) and size < 1:
        raise ShapeError(
            f"{call.op}: {size} points along axis {axis}",
            fix="a transform needs at least one point",
        )
    call.require_equal(dim_max(size, 1), size, f"points along axis {axis}: at least 1")


def _require_kind(call: Inference, kind: str) -> None:
    dtype = call.types[0].dtype
    if dtype.kind != kind or real_dtype(dtype).itemsize < 4:
        wanted = "complex64, complex128" if kind == "c" else "float32, float64"
        raise DTypeError(
            f"{call.op}: not for {dtype.name}",
            code="E214",
            details=[f"got {call.types[0]}, allowed: {wanted}"],
            fix="the functions of gc.fft cast where that loses nothing",
        )


def _numbers(array: np.ndarray, pairs: bool) -> np.ndarray:
    return complex_view(np.ascontiguousarray(array)) if pairs else array


def _answer(result: Any, dtype: DType, pairs: bool) -> np.ndarray:
    array = np.ascontiguousarray(np.asarray(result).astype(dtype, copy=False))
    return real_view(array) if pairs else array


def _in_parts(b: Builder, node: Node, inputs: Sequence[Value]) -> Value:
    """The steps of a transform of known length; of others the op on pairs of floats, which a host
    call takes and gives as they are."""
    (x,) = inputs
    attrs = {name: value for name, value in node.attrs.items() if name != "pairs"}
    if "axes" in attrs:
        assert isinstance(x, Parts)
        if all(has_steps(x.real.shape[axis]) for axis in attrs["axes"]):
            return complex_steps(b, x, **attrs)
    elif isinstance(x, Parts):
        if has_steps(attrs["size"]):
            return hermitian_steps(b, x, **attrs)
    elif has_steps(x.shape[attrs["axis"]]):
        return real_steps(b, x, **attrs)
    whole = node.op(joined(b, x), **{**node.attrs, "pairs": True})
    if not is_complex(node.types[0].dtype):
        return whole
    return Parts(whole[..., 0], whole[..., 1])


def _examples(
    build: Callable[..., Tensor], of_complex: bool
) -> Callable[[Generator], list[Example]]:
    def example(rng: Generator, shape: tuple[int, ...], attrs: dict[str, Any]) -> Example:
        values = rng.normal(size=shape)
        if of_complex:
            values = np.asarray(values + 1j * rng.normal(size=shape))
        return Example(lambda x: build(x, **attrs), (values,))

    return lambda rng: [
        example(rng, shape, {"axis": axis, "inverse": inverse, "scale": scale})
        for shape, axis, inverse, scale in (
            ((5,), 0, False, "one"),
            ((3, 4), 1, True, "count"),
            ((4, 1, 2), 0, False, "root"),
            ((2, 3), 0, True, "one"),
            ((0, 3), 1, False, "one"),
        )
    ]


# --- complex to complex --------------------------------------------------------------------------


def _infer_fourier(call: Inference) -> TensorType:
    (x,) = call.types
    _require_kind(call, "f" if call.attrs["pairs"] else "c")
    for axis in call.attrs["axes"]:
        _require_elements(call, x.shape[axis], axis)
    return x


def _reference_fourier(attrs: Attributes, x: np.ndarray) -> np.ndarray:
    z = _numbers(x, attrs["pairs"])
    if z.size == 0:
        return np.zeros(x.shape, x.dtype)
    name = "ifft" if attrs["inverse"] else "fft"
    norm = (INVERSE if attrs["inverse"] else FORWARD)[attrs["scale"]]
    if len(attrs["axes"]) == 1:  # short ones take half the time: shapes are looked at less
        result = getattr(_scipy(), name)(z, axis=attrs["axes"][0], norm=norm)
    else:
        result = getattr(_scipy(), f"{name}n")(z, axes=attrs["axes"], norm=norm)
    return _answer(result, z.dtype, attrs["pairs"])


def _same_transform(b: Builder, a: Application, gradients: Gradients) -> Gradients:
    return [None if gradients[0] is None else FOURIER(gradients[0], **a.attrs)]


FOURIER: OpDef = register(
    OpDef(
        "fourier",
        infer=_infer_fourier,
        reference=_reference_fourier,
        lower=HostCall(module=SCIPY),
        vjp=_same_transform,
        jvp=_same_transform,
        batch=shifted("axes"),
        traits=frozenset({"linear"}),
        parts=_in_parts,
        examples=_examples(
            lambda x, axis, inverse, scale: fourier(
                x, (axis,) if x.ndim < 3 else (2, 0), inverse, scale
            ),
            of_complex=True,
        ),
        defaults={"pairs": False},
    )
)


def fourier(x: Tensor, axes: tuple[int, ...], inverse: bool, scale: str) -> Tensor:
    """x: complex. axes: counted from 0. scale: "one", "root" or "count", of all axes together."""
    return FOURIER(x, axes=axes, inverse=inverse, scale=scale, pairs=False)


# --- real to complex -----------------------------------------------------------------------------


def _with_size(shape: Shape, axis: int, size: Size) -> Shape:
    return (*shape[:axis], size, *shape[axis + 1 :])


def _infer_real_fourier(call: Inference) -> TensorType:
    (x,), axis = call.types, call.attrs["axis"]
    _require_kind(call, "f")
    _require_elements(call, x.shape[axis], axis)
    shape = _with_size(x.shape, axis, half(x.shape[axis]))
    if call.attrs["pairs"]:
        return TensorType(x.dtype, (*shape, 2))
    return TensorType(complex_dtype(x.dtype), shape)


def _reference_real_fourier(attrs: Attributes, x: np.ndarray) -> np.ndarray:
    axis, dtype = attrs["axis"], complex_dtype(x.dtype)
    if x.size == 0:
        return _answer(
            np.zeros(_with_size(x.shape, axis, x.shape[axis] // 2 + 1)), dtype, attrs["pairs"]
        )
    result = _scipy().rfft(x, axis=axis, norm=FORWARD[attrs["scale"]])
    return _answer(np.conj(result) if attrs["inverse"] else result, dtype, attrs["pairs"])


def _weights(b: Builder, count: Size, size: Size, like: Tensor, axis: int, inner: float) -> Tensor:
    """1 for the entries that stand for themselves, 0 and n / 2; `inner` for those of a pair."""
    dtype = real_dtype(like.dtype)
    if isinstance(count, int) and isinstance(size, int):
        numbers = np.where(np.arange(count) * 2 % size == 0, 1, inner).astype(dtype)
        return constant(numbers.reshape((count, *(1,) * (like.ndim - 1 - axis))))
    position = b.arange(count)
    alone = b.logical_or(b.equal(position, 0), b.equal(b.multiply(position, 2), size))
    weights = b.where(alone, 1, b.full((count,), inner, dtype))
    return b.reshape(weights, (count, *(1,) * (like.ndim - 1 - axis)))


def _real_vjp(b: Builder, a: Application, gradients: Gradients) -> Gradients:
    """Re(sum_k g[k] w^(jk)): a hermitian transform, where each pair counts half."""
    gradient, axis = gradients[0], a.attrs["axis"]
    assert gradient is not None
    size = a.inputs[0].shape[axis]
    weights = _weights(b, gradient.shape[axis], size, gradient, axis, 0.5)
    return [HERMITIAN(b.multiply(gradient, weights), size=size, **a.attrs)]


REAL: OpDef = register(
    OpDef(
        "real_fourier",
        infer=_infer_real_fourier,
        reference=_reference_real_fourier,
        lower=HostCall(module=SCIPY),
        vjp=_real_vjp,
        jvp=lambda b, a, tangents: [None if tangents[0] is None else REAL(tangents[0], **a.attrs)],
        batch=shifted("axis"),
        traits=frozenset({"linear"}),
        parts=_in_parts,
        examples=_examples(
            lambda x, axis, inverse, scale: real_fourier(x, axis, inverse, scale), of_complex=False
        ),
        defaults={"pairs": False},
    )
)


def real_fourier(x: Tensor, axis: int, inverse: bool, scale: str) -> Tensor:
    """x: real, n points along the axis, counted from 0. Result: complex, n // 2 + 1 points."""
    return REAL(x, axis=axis, inverse=inverse, scale=scale, pairs=False)


# --- complex to real -----------------------------------------------------------------------------


def _infer_hermitian(call: Inference) -> TensorType:
    (x,), axis, size = call.types, call.attrs["axis"], call.attrs["size"]
    _require_kind(call, "f" if call.attrs["pairs"] else "c")
    _require_elements(call, size, axis)
    call.require_equal(x.shape[axis], half(size), f"half a spectrum of {size} points")
    shape = x.shape[:-1] if call.attrs["pairs"] else x.shape
    return TensorType(real_dtype(x.dtype), _with_size(shape, axis, size))


def _reference_hermitian(attrs: Attributes, x: np.ndarray) -> np.ndarray:
    axis, size = attrs["axis"], attrs["size"]
    z = _numbers(x, attrs["pairs"])
    dtype = real_dtype(z.dtype)
    if z.size == 0:
        return np.zeros(_with_size(z.shape, axis, size), dtype)
    turned = z if attrs["inverse"] else np.conj(z)
    result = _scipy().irfft(turned, size, axis=axis, norm=INVERSE[attrs["scale"]])
    return _answer(result, dtype, False)


def _hermitian_vjp(b: Builder, a: Application, gradients: Gradients) -> Gradients:
    """sum_j g[j] w^(jk), twice that for the entries of a pair."""
    gradient, axis, size = gradients[0], a.attrs["axis"], a.attrs["size"]
    assert gradient is not None
    attrs = {name: value for name, value in a.attrs.items() if name != "size"}
    spectrum = REAL(gradient, **attrs)
    return [b.multiply(spectrum, _weights(b, half(size), size, spectrum, axis, 2.0))]


HERMITIAN: OpDef = register(
    OpDef(
        "hermitian_fourier",
        infer=_infer_hermitian,
        reference=_reference_hermitian,
        lower=HostCall(module=SCIPY),
        vjp=_hermitian_vjp,
        jvp=lambda b, a, tangents: [
            None if tangents[0] is None else HERMITIAN(tangents[0], **a.attrs)
        ],
        batch=shifted("axis"),
        traits=frozenset({"linear"}),
        parts=_in_parts,
        examples=_examples(
            lambda x, axis, inverse, scale: hermitian_fourier(
                x, axis, 2 * x.shape[axis] - 1 - inverse, inverse, scale
            ),
            of_complex=True,
        ),
        defaults={"pairs": False},
    )
)


def hermitian_fourier(x: Tensor, axis: int, size: Size, inverse: bool, scale: str) -> Tensor:
    """x: complex, size // 2 + 1 points along the axis, counted from 0. Result: real, size points.

    The imaginary parts of x[0], and of x[size / 2] for an even size, do not count.
    """
    return HERMITIAN(x, axis=axis, size=size, inverse=inverse, scale=scale, pairs=False)
