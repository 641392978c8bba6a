"""Complex numbers and their parts: real, imag, conj, angle, and numbers made from parts.

The derivative rules here are those of functions that are not holomorphic; see `autodiff.reverse`
for what a cotangent of a complex value is.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from graphc.dtypes import complex_dtype, default_float, is_complex, is_floating, real_dtype
from graphc.ir.lowering import OfParts
from graphc.ir.node import Node, TensorType
from graphc.ir.opdef import Application, Example, Generator, Gradients, Inference, OpDef
from graphc.ir.parts import Parts, Value
from graphc.ir.registry import BUILDER, Builder, public, register
from graphc.ir.tensor import Tensor
from graphc.ops.definition import NUMERIC, REAL, check_dtype, convert, one_input, promote_inputs

__all__ = ["angle", "complex", "conj", "imag", "real"]

SHAPES: tuple[tuple[int, ...], ...] = ((), (0,), (3, 1, 5))


def _infer_part(call: Inference) -> TensorType:
    return TensorType(real_dtype(call.types[0].dtype), call.types[0].shape)


def _draw(rng: Generator, shape: tuple[int, ...]) -> np.ndarray:
    return np.asarray(rng.normal(size=shape) + 1j * rng.normal(size=shape))


def _examples(build: Callable[..., Tensor]) -> Callable[[Generator], list[Example]]:
    return lambda rng: [Example(build, (_draw(rng, shape),)) for shape in SHAPES]


# --- parts ---------------------------------------------------------------------------------------


def _real_vjp(b: Builder, a: Application, gradients: Gradients) -> Gradients:
    """dL = g dx = Re(g dz)"""
    return [b.astype(gradients[0], a.inputs[0].dtype)]


def _imag_vjp(b: Builder, a: Application, gradients: Gradients) -> Gradients:
    """dL = g dy = Re(-i g dz)"""
    assert gradients[0] is not None
    return [b.complex(b.zeros_like(gradients[0]), b.negative(gradients[0]))]


def _part_jvp(b: Builder, a: Application, tangents: Gradients) -> Gradients:
    return [None if tangents[0] is None else a.node.op(tangents[0])]


@public
def real(x: Any, /) -> Tensor:
    """The real part; x itself where it is real.

    x: any shape, numeric dtypes. Result: float32 for complex64, float64 for complex128.
    Raises DTypeError for bool.
    """
    tensor = one_input("real", x, NUMERIC)
    return REAL_PART(tensor) if is_complex(tensor.dtype) else tensor


@public
def imag(x: Any, /) -> Tensor:
    """The imaginary part; zeros where x is real.

    x: any shape, numeric dtypes. Result: float32 for complex64, float64 for complex128.
    Raises DTypeError for bool.
    """
    tensor = one_input("imag", x, NUMERIC)
    return IMAGINARY_PART(tensor) if is_complex(tensor.dtype) else BUILDER.zeros_like(tensor)


def _register_part(build: Callable[..., Tensor], side: int, vjp: Any) -> OpDef:
    def parts(b: Builder, node: Node, inputs: Sequence[Value]) -> Value:
        (z,) = inputs
        assert isinstance(z, Parts)
        return z[side]

    return register(
        OpDef(
            build.__name__,
            infer=_infer_part,
            reference=lambda attrs, x: np.ascontiguousarray(getattr(x, build.__name__)).reshape(
                x.shape
            ),
            lower=OfParts(),
            vjp=vjp,
            jvp=_part_jvp,
            traits=frozenset({"elementwise"}),
            parts=parts,
            examples=_examples(build),
        )
    )


REAL_PART = _register_part(real, 0, _real_vjp)
IMAGINARY_PART = _register_part(imag, 1, _imag_vjp)

# --- conjugate -----------------------------------------------------------------------------------


def _conj_parts(b: Builder, node: Node, inputs: Sequence[Value]) -> Parts:
    (z,) = inputs
    assert isinstance(z, Parts)
    return Parts(z.real, b.negative(z.imag))


@public
def conj(x: Any, /) -> Tensor:
    """The complex conjugate: the imaginary part negated; x itself where it is real.

    x: any shape, numeric dtypes. Result: the dtype of x. Raises DTypeError for bool.
    """
    tensor = one_input("conj", x, NUMERIC)
    return CONJ(tensor) if is_complex(tensor.dtype) else tensor


def _conj_vjp(b: Builder, a: Application, gradients: Gradients) -> Gradients:
    """dL = Re(g conj(dz)) = Re(conj(g) dz)"""
    return [b.conj(gradients[0])]


CONJ = register(
    OpDef(
        "conj",
        infer=lambda call: call.types[0],
        reference=lambda attrs, x: np.conj(x),
        lower=OfParts(),
        vjp=_conj_vjp,
        jvp=_part_jvp,
        traits=frozenset({"elementwise"}),
        parts=_conj_parts,
        examples=_examples(conj),
    )
)

# --- from parts ----------------------------------------------------------------------------------


def _infer_complex(call: Inference) -> TensorType:
    return TensorType(complex_dtype(call.types[0].dtype), call.broadcast())


def _reference_complex(attrs: Any, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    result = np.empty(np.broadcast_shapes(x.shape, y.shape), complex_dtype(x.dtype))
    result.real, result.imag = x, y
    return result


def _complex_vjp(b: Builder, a: Application, gradients: Gradients) -> Gradients:
    """dL = Re(g (dx + i dy)) = Re(g) dx - Im(g) dy"""
    return [b.real(gradients[0]), b.negative(b.imag(gradients[0]))]


def _complex_jvp(b: Builder, a: Application, tangents: Gradients) -> Gradients:
    if all(tangent is None for tangent in tangents):
        return [None]
    halves = [b.zeros_like(x) if t is None else t for t, x in zip(tangents, a.inputs, strict=True)]
    return [b.complex(*halves)]


@public
def complex(real: Any, imag: Any = 0, /) -> Tensor:
    """The complex number real + i imag, with both parts as they are, NaN and signs of 0 too.

    real, imag: shapes that broadcast, real dtypes. Result: complex128 for float64, else complex64.
    Raises DTypeError for bool and complex parts, ShapeError where the shapes do not broadcast.
    """
    halves = promote_inputs("complex", real, imag)
    check_dtype("complex", halves[0].dtype, REAL)
    dtype = halves[0].dtype
    target = real_dtype(complex_dtype(dtype)) if is_floating(dtype) else default_float
    return COMPLEX(*(convert(half, target) for half in halves))


COMPLEX = register(
    OpDef(
        "complex",
        infer=_infer_complex,
        reference=_reference_complex,
        lower=OfParts(),
        vjp=_complex_vjp,
        jvp=_complex_jvp,
        traits=frozenset({"elementwise"}),
        parts=lambda b, node, inputs: Parts(*inputs),
        examples=lambda rng: [
            Example(complex, tuple(rng.normal(size=shape) for shape in shapes))
            for shapes in (((), ()), ((3, 1), (4,)))
        ],
    )
)

# --- angle ---------------------------------------------------------------------------------------


@public
def angle(x: Any, /) -> Tensor:
    """The angle of x in the complex plane, atan2(imag, real), in [-pi, pi].

    x: any shape, numeric dtypes; integers become float32. Of a real number it is 0 or pi. The
    gradient at 0 is that of atan2. Raises DTypeError for bool.
    """
    tensor = one_input("angle", x, NUMERIC)
    return BUILDER.atan2(imag(tensor), real(tensor))
