"""One op per routine of `graphc.lapack`: what linear algebra is composed of.

They carry no derivatives: the functions made of them do, and are replaced by their parts only
after differentiation.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from graphc.dtypes import float32, float64
from graphc.errors import DTypeError, ShapeError
from graphc.ir.batch import leading
from graphc.ir.lowering import Lapack, routine_sizes
from graphc.ir.node import Attributes, TensorType
from graphc.ir.opdef import Example, Generator, Inference, OpDef
from graphc.ir.registry import BUILDER, public, register
from graphc.ir.tensor import Tensor
from graphc.lapack import ROUTINES, RoutineFailure
from graphc.lapack_calls import allocate, run_routine
from graphc.shapes import evaluate, size_product

__all__: list[str] = []


def _infer(name: str) -> Callable[[Inference], tuple[TensorType, ...]]:
    routine = ROUTINES[name]

    def infer(call: Inference) -> tuple[TensorType, ...]:
        real = next(
            type_.dtype
            for type_, operand in zip(call.types, routine.inputs, strict=True)
            if not operand.integer
        )
        if real not in (float32, float64):  # native code would read beyond the end
            raise DTypeError(
                f"{call.op}: not for {real.name}",
                code="E214",
                details=[f"got {call.types[0]}, allowed: float32, float64"],
                fix="cast with x.astype(...)",
            )
        batch, given = routine_sizes(routine, call.types, call.attrs)
        sizes = routine.complete(given)
        for type_, operand in zip(call.types, routine.inputs, strict=True):
            expected = (*batch, *(sizes[size] for size in operand.shape))
            if type_.dtype != operand.dtype(real):
                raise DTypeError(f"{call.op}: got {type_}, the matrices are {real}")
            if type_.ndim != len(expected):
                raise ShapeError(f"{call.op}: got {type_}, with batch axes {list(batch)}")
            for own, other in zip(type_.shape, expected, strict=True):
                call.require_equal(own, other, f"the sizes of {type_}")
        return tuple(
            TensorType(operand.dtype(real), (*batch, *(sizes[size] for size in operand.shape)))
            for operand in routine.outputs
        )

    return infer


def _reference(name: str) -> Callable[..., tuple[np.ndarray, ...]]:
    routine = ROUTINES[name]

    def reference(attrs: Attributes, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        types = [TensorType(array.dtype, array.shape) for array in arrays]
        batch, given = routine_sizes(routine, types, attrs)
        sizes = {key: evaluate(size, {}) for key, size in routine.complete(given).items()}
        count = evaluate(size_product(batch), {})
        dense = [np.ascontiguousarray(array) for array in arrays]
        real = next(a.dtype for a, o in zip(arrays, routine.inputs, strict=True) if not o.integer)
        outputs = allocate(routine, real, sizes, routine.outputs, count)
        options = {option: attrs[option] for option in routine.options}
        code = run_routine(name, real, dense, outputs, count, sizes, options)
        if code != 0:
            raise RoutineFailure(name, attrs["caller"], code)
        return tuple(output.reshape((*batch, *output.shape[1:])) for output in outputs)

    return reference


def lapack(name: str, *inputs: Tensor, caller: str, **attrs: Any) -> tuple[Tensor, ...]:
    """All outputs of a routine. attrs: its options, and sizes that no input shows."""
    return OPERATIONS[name].apply(inputs, {"caller": caller, **attrs})


# --- examples ------------------------------------------------------------------------------------

_SHAPES: tuple[tuple[int, ...], ...] = ((3, 3), (2, 2, 2), (0, 0))


def _regular(x: Tensor) -> Tensor:
    """x as a matrix far from singular."""
    return BUILDER.add(BUILDER.multiply(x, 0.25), BUILDER.eye(x.shape[-1], dtype=x.dtype) * 3)


def _symmetric(x: Tensor) -> Tensor:
    """x as a symmetric, positive definite matrix with eigenvalues far from each other."""
    ramp = BUILDER.astype(BUILDER.arange(x.shape[-1]), x.dtype) + 2
    spread = BUILDER.multiply(BUILDER.eye(x.shape[-1], dtype=x.dtype), ramp)
    return BUILDER.add(BUILDER.multiply(BUILDER.add(x, BUILDER.matrix_transpose(x)), 0.1), spread)


def _status(x: Tensor) -> Tensor:
    return BUILDER.zeros(x.shape[:-2], "int32")


def _factor_and_solve(x: Tensor) -> Sequence[Tensor]:
    factors = lapack("getrf", _regular(x), caller="solve")
    return lapack("getrs", *factors, x, caller="solve", transpose="T")


def _triangular_solve(x: Tensor) -> Sequence[Tensor]:
    options = {"triangle": "U", "transpose": "N", "diagonal": "N"}
    return lapack("trsm", _regular(x), _status(x), x, caller="triangular_solve", **options)


def _orthogonal(x: Tensor) -> Sequence[Tensor]:
    reflectors, scales = lapack("gelqf", _regular(x), caller="qr")
    return lapack("orglq", reflectors, scales, caller="qr")


def _complex(x: Tensor) -> Tensor:
    """x as real parts that make a Hermitian, positive definite matrix with some imaginary ones."""
    turning = BUILDER.multiply(BUILDER.subtract(x, BUILDER.matrix_transpose(x)), 0.1)
    return BUILDER.stack([_symmetric(x), turning], axis=-1)


def _upper(x: Tensor) -> Tensor:
    """x as a triangular matrix with a positive diagonal, by columns."""
    ramp = BUILDER.astype(BUILDER.arange(x.shape[-1]), x.dtype) + 2
    spread = BUILDER.multiply(BUILDER.eye(x.shape[-1], dtype=x.dtype), ramp)
    return BUILDER.add(BUILDER.multiply(BUILDER.tril(x, -1), 0.2), spread)


def _unitary(x: Tensor) -> Sequence[Tensor]:
    reflectors, scales = lapack("gelqf_complex", _complex(x), caller="qr")
    return lapack("unglq", reflectors, scales, caller="qr")


_CALLS: dict[str, Callable[[Tensor], Sequence[Tensor]]] = {
    "potrf": lambda x: lapack("potrf", _symmetric(x), caller="cholesky"),
    "getrf": lambda x: lapack("getrf", _regular(x), caller="solve"),
    "getrf_columns": lambda x: lapack("getrf_columns", _regular(x), caller="lu"),
    "getrs": _factor_and_solve,
    "trsm": _triangular_solve,
    "gelqf": lambda x: lapack("gelqf", _regular(x), caller="qr"),
    "orglq": _orthogonal,
    "syevd": lambda x: lapack("syevd", _symmetric(x), caller="eigh"),
    "syevd_values": lambda x: lapack("syevd_values", _symmetric(x), caller="eigvalsh"),
    "geev": lambda x: lapack("geev", _symmetric(x), caller="eig"),
    "geev_values": lambda x: lapack("geev_values", _symmetric(x), caller="eigvals"),
    "gees": lambda x: lapack("gees", _symmetric(x), caller="schur"),
    "trsyl": lambda x: lapack("trsyl", _upper(x), _upper(x), x, caller="solve_sylvester"),
    "gesdd": lambda x: lapack(
        "gesdd", _symmetric(x), caller="svd", vectors="S", p=x.shape[-1], q=x.shape[-1]
    ),
    "gesdd_values": lambda x: lapack("gesdd_values", _symmetric(x), caller="svdvals"),
    "getrf_complex": lambda x: lapack("getrf_complex", _complex(x), caller="lu"),
    "gelqf_complex": lambda x: lapack("gelqf_complex", _complex(x), caller="qr"),
    "unglq": _unitary,
    "heevd": lambda x: lapack("heevd", _complex(x), caller="eigh"),
    "geev_complex": lambda x: lapack("geev_complex", _complex(x), caller="eig"),
    "gesdd_complex": lambda x: lapack(
        "gesdd_complex", _complex(x), caller="svd", vectors="S", p=x.shape[-1], q=x.shape[-1]
    ),
}


def _examples(name: str) -> Callable[[Generator], list[Example]]:
    return lambda rng: [
        Example(_CALLS[name], (rng.normal(size=shape),), differentiable=False) for shape in _SHAPES
    ]


OPERATIONS: dict[str, OpDef] = {
    name: register(
        OpDef(
            name,
            infer=_infer(name),
            reference=_reference(name),
            lower=Lapack(name),
            batch=leading,
            traits=frozenset({"nondifferentiable"}),
            examples=_examples(name),
        )
    )
    for name in ROUTINES
}
public(lapack)
