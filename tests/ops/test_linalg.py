"""Linear algebra against numpy and scipy; errors; what the compiler makes of it."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal

import numpy as np
import pytest
import scipy.linalg

import graphc as gc
from graphc.errors import DTypeError, FeedError, LinearAlgebraError, ParameterError, ShapeError
from graphc.loops.ir import Lapack
from graphc.shapes import Dim

BACKENDS = ("reference", "interpreter", "llvm", "numba_cpu")
la = gc.linalg


def matrices(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


def positive(*shape: int, seed: int = 0) -> np.ndarray:
    x = matrices(*shape, seed=seed)
    return np.asarray(x @ np.swapaxes(x, -1, -2) + np.eye(shape[-1]))


def call(
    function: Callable[..., Any], *arrays: np.ndarray, backend: str = "llvm", symbolic: bool = True
) -> list[np.ndarray]:
    """The values of what the function gives, with every size symbolic that is not 1."""
    inputs: list[Any] = []
    for number, array in enumerate(arrays):
        shape = tuple(
            Dim.symbol(f"n{size}") if symbolic and size != 1 else size for size in array.shape
        )
        inputs.append(gc.placeholder(f"x{number}", shape, array.dtype))
    built = function(*inputs)
    outputs = list(built) if isinstance(built, tuple | list) else [built]
    f = gc.function(inputs, outputs, backend=backend, check=True, on_unused_input="ignore")
    results: list[np.ndarray] = f(*arrays)
    return results


def close(found: Any, expected: Any, dtype: str = "float64") -> None:
    expected = np.asarray(expected)
    assert found.shape == expected.shape
    tolerance = 2e-4 if dtype == "float32" else 1e-10
    scale = float(np.abs(expected).max(initial=1.0))
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance * scale)


# --- values --------------------------------------------------------------------------------------

Case = tuple[Callable[..., Any], Callable[..., Any], tuple[np.ndarray, ...]]
SQUARE, TALL, WIDE = matrices(2, 4, 4), matrices(2, 5, 3), matrices(3, 5)
POSITIVE = positive(4, 4)
SKEW = np.triu(SQUARE[1]) - np.triu(SQUARE[1]).T


def ordered(values: Any) -> list[Any]:
    """Real and imaginary parts, upwards: conjugate pairs come in any order of real parts."""
    return [gc.sort(gc.real(values)), gc.sort(gc.imag(values))]


def _ordered_eigenvalues(x: np.ndarray) -> np.ndarray:
    values = np.linalg.eigvals(x)
    return np.stack([np.sort(values.real), np.sort(values.imag)])


EXACT: dict[str, Case] = {
    "expm": (la.expm, scipy.linalg.expm, (3 * SQUARE,)),
    "expm of several sizes": (la.expm, scipy.linalg.expm, (SQUARE * [[[0.1]], [[5.0]]],)),
    "sqrtm": (
        la.sqrtm,
        lambda x: np.stack([scipy.linalg.sqrtm(one) for one in x]),
        (np.stack([POSITIVE + SKEW, POSITIVE * 1e-9, np.eye(4) + np.triu(SQUARE[0])]),),
    ),
    "lu": (la.lu, scipy.linalg.lu, (SQUARE,)),
    "lu tall": (la.lu, scipy.linalg.lu, (TALL,)),
    "lu wide": (la.lu, scipy.linalg.lu, (WIDE,)),
    "lu_factor": (
        lambda x: la.lu_factor(x).lu,
        lambda x: scipy.linalg.lu_factor(x)[0],
        (SQUARE[0],),
    ),
    "lu_solve": (
        lambda a, b: la.lu_solve(la.lu_factor(a), b),
        np.linalg.solve,
        (SQUARE, matrices(2, 4, 3)),
    ),
    "lu_solve vector": (
        lambda a, b: la.lu_solve(la.lu_factor(a), b),
        np.linalg.solve,
        (SQUARE[0], matrices(4)),
    ),
    "lu_solve turned": (
        lambda a, b: la.lu_solve(la.lu_factor(a), b, trans=1),
        lambda a, b: np.linalg.solve(a.T, b),
        (SQUARE[0], matrices(3, 4, 2)),
    ),
    "schur": (la.schur, scipy.linalg.schur, (SQUARE[0],)),
    "eigvals": (lambda x: gc.stack(ordered(la.eigvals(x))), _ordered_eigenvalues, (SQUARE,)),
    "cho_factor": (
        lambda x: la.cho_factor(x)[0],
        lambda x: np.triu(scipy.linalg.cho_factor(x)[0]),
        (POSITIVE,),
    ),
    "polar": (la.polar, scipy.linalg.polar, (SQUARE[0],)),
    "polar left": (
        lambda x: la.polar(x, "left"),
        lambda x: scipy.linalg.polar(x, side="left"),
        (WIDE,),
    ),
    "tensorsolve": (la.tensorsolve, np.linalg.tensorsolve, (matrices(2, 3, 6), matrices(2, 3))),
    "tensorsolve axes": (
        lambda a, b: la.tensorsolve(a, b, axes=(0, 2)),
        lambda a, b: np.linalg.tensorsolve(a, b, axes=(0, 2)),
        (matrices(2, 6, 3), matrices(6)),
    ),
    "tensorinv": (la.tensorinv, np.linalg.tensorinv, (matrices(4, 6, 8, 3),)),
    "tensorinv 1": (
        lambda x: la.tensorinv(x, ind=1),
        lambda x: np.linalg.tensorinv(x, ind=1),
        (matrices(6, 2, 3),),
    ),
    "hankel": (la.hankel, scipy.linalg.hankel, (matrices(4),)),
    "hankel of two": (la.hankel, scipy.linalg.hankel, (matrices(4), matrices(3))),
    "circulant": (la.circulant, scipy.linalg.circulant, (matrices(5),)),
    "block_diag": (la.block_diag, scipy.linalg.block_diag, (TALL[0], matrices(2), matrices(1, 4))),
    "solve": (la.solve, np.linalg.solve, (SQUARE, matrices(2, 4, 3))),
    "solve vector": (la.solve, np.linalg.solve, (SQUARE, matrices(4))),
    "solve one matrix": (la.solve, np.linalg.solve, (matrices(4, 4), matrices(2, 4, 3))),
    "solve broadcast": (la.solve, np.linalg.solve, (matrices(3, 1, 4, 4), matrices(2, 4, 3))),
    "inv": (la.inv, np.linalg.inv, (SQUARE,)),
    "det": (la.det, np.linalg.det, (SQUARE,)),
    "det of a triangle": (la.det, np.linalg.det, (np.tril(matrices(3, 3)),)),
    "slogdet": (la.slogdet, np.linalg.slogdet, (SQUARE,)),
    "cholesky": (la.cholesky, np.linalg.cholesky, (positive(2, 4, 4),)),
    "cholesky upper": (
        lambda x: la.cholesky(x, upper=True),
        lambda x: np.swapaxes(np.linalg.cholesky(x), -1, -2),
        (positive(4, 4),),
    ),
    "eigvalsh": (la.eigvalsh, np.linalg.eigvalsh, (positive(2, 4, 4),)),
    "svdvals": (la.svdvals, np.linalg.svdvals, (TALL,)),
    "svdvals wide": (la.svdvals, np.linalg.svdvals, (WIDE,)),
    "pinv": (la.pinv, np.linalg.pinv, (TALL,)),
    "pinv wide": (la.pinv, np.linalg.pinv, (WIDE,)),
    "lstsq": (lambda a, b: la.lstsq(a, b)[0], lambda a, b: np.linalg.lstsq(a, b)[0],
              (TALL[0], matrices(5, 2))),
    "lstsq residuals": (lambda a, b: la.lstsq(a, b)[1], lambda a, b: np.linalg.lstsq(a, b)[1],
                        (TALL[0], matrices(5, 2))),
    "lstsq vector": (lambda a, b: la.lstsq(a, b)[0], lambda a, b: np.linalg.lstsq(a, b)[0],
                     (WIDE, matrices(3))),
    "rank": (la.matrix_rank, np.linalg.matrix_rank, (TALL,)),
    "rank 1": (la.matrix_rank, np.linalg.matrix_rank, (np.outer(WIDE[0], WIDE[1]),)),
    "power 5": (lambda x: la.matrix_power(x, 5), lambda x: np.linalg.matrix_power(x, 5), (SQUARE,)),
    "power 0": (lambda x: la.matrix_power(x, 0), lambda x: np.linalg.matrix_power(x, 0), (SQUARE,)),
    "power -3": (
        lambda x: la.matrix_power(x, -3), lambda x: np.linalg.matrix_power(x, -3), (SQUARE,)),
    "trace": (lambda x: la.trace(x, offset=1), lambda x: np.linalg.trace(x, offset=1), (TALL,)),
    "diagonal": (
        lambda x: la.diagonal(x, offset=-1), lambda x: np.linalg.diagonal(x, offset=-1), (TALL,)),
    "multi_dot": (lambda *x: la.multi_dot(x), lambda *x: np.linalg.multi_dot(x),
                  (matrices(3), matrices(3, 4), matrices(4, 2))),
    "cho_solve": (lambda a, b: la.cho_solve(la.cholesky(a), b), np.linalg.solve,
                  (positive(4, 4), matrices(4, 2))),
    "cho_solve upper": (
        lambda a, b: la.cho_solve(la.cholesky(a, upper=True), b, lower=False), np.linalg.solve,
        (positive(4, 4), matrices(4, 2))),
    "cho_solve of cho_factor": (lambda a, b: la.cho_solve(la.cho_factor(a), b), np.linalg.solve,
                                (positive(4, 4), matrices(4, 2))),
    "cho_solve of cho_factor lower": (
        lambda a, b: la.cho_solve(la.cho_factor(a, lower=True), b), np.linalg.solve,
        (positive(4, 4), matrices(4, 2))),
}  # fmt: skip


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", EXACT)
def test_values_are_those_of_numpy(name: str, dtype: str) -> None:
    function, expected, arrays = EXACT[name]
    arrays = tuple(array.astype(dtype) for array in arrays)
    results = expected(*arrays)
    for found, one in zip(
        call(function, *arrays), results if isinstance(results, tuple) else (results,), strict=True
    ):
        close(found, one, dtype)
        assert found.dtype == (dtype if found.dtype.kind == "f" else "int64")


@pytest.mark.parametrize("shape", [(4, 4), (2, 5, 3), (3, 5), (2, 1, 3, 3), (1, 1)])
def test_factors_give_the_matrix(shape: tuple[int, ...]) -> None:
    x = matrices(*shape)
    m, n = shape[-2:]
    k = min(m, n)
    for full in (True, False):
        u, s, vh = call(lambda x, full=full: la.svd(x, full_matrices=full), x)
        assert u.shape[-2:] == (m, m if full else k) and vh.shape[-2:] == (n if full else k, n)
        close(u[..., :k] * s[..., None, :] @ vh[..., :k, :], x)
        close(
            np.swapaxes(u, -1, -2) @ u,
            np.broadcast_to(np.eye(u.shape[-1]), (*shape[:-2], u.shape[-1], u.shape[-1])),
        )
        q, r = call(lambda x, full=full: la.qr(x, mode="complete" if full else "reduced"), x)
        expected = np.linalg.qr(x, mode="complete" if full else "reduced")
        close(q, expected[0])
        close(r, expected[1])
    if m == n:
        symmetric = x + np.swapaxes(x, -1, -2)
        w, v = call(la.eigh, symmetric)
        close(v * w[..., None, :] @ np.swapaxes(v, -1, -2), symmetric)
        close(w, np.linalg.eigvalsh(symmetric))


@pytest.mark.parametrize("lower", [True, False])
@pytest.mark.parametrize("transpose", [True, False])
@pytest.mark.parametrize("unit", [True, False])
def test_triangular_solve(lower: bool, transpose: bool, unit: bool) -> None:
    a, b = matrices(4, 4) + 3 * np.eye(4), matrices(4, 2)
    (found,) = call(
        lambda a, b: la.triangular_solve(
            a, b, lower=lower, transpose=transpose, unit_diagonal=unit
        ), a, b)  # fmt: skip
    close(found, scipy.linalg.solve_triangular(
        a, b, lower=lower, trans=int(transpose), unit_diagonal=unit))  # fmt: skip
    outside = np.triu(np.ones((4, 4)), 1) if lower else np.tril(np.ones((4, 4)), -1)
    nan = np.where(outside > 0, np.nan, a)
    (again,) = call(
        lambda a, b: la.triangular_solve(
            a, b, lower=lower, transpose=transpose, unit_diagonal=unit
        ), nan, b)  # fmt: skip
    np.testing.assert_array_equal(again, found)


NORMS: list[tuple[Any, Any]] = [
    (None, None), ("fro", None), ("nuc", None), (1, None), (-1, None), (2, None), (-2, None),
    (np.inf, None), (-np.inf, None), (None, 0), (1, 1), (3, -1), (np.inf, 0), (-np.inf, 1),
    (0, 1), (2, (1, 0)), (1, (1, 0)),
]  # fmt: skip


@pytest.mark.parametrize(("ord", "axis"), NORMS)
@pytest.mark.parametrize("keepdims", [True, False])
def test_norm(ord: Any, axis: Any, keepdims: bool) -> None:
    x = matrices(4, 3)
    (found,) = call(lambda x: la.norm(x, ord, axis, keepdims), x, backend="reference")
    close(found, np.linalg.norm(x, ord, axis, keepdims))


def test_norms_of_complex_numbers_are_real() -> None:
    z = np.array([3 + 4j, 0, 12], "complex128")
    x = gc.placeholder("x", (3,), "complex128")
    norms = [la.norm(x, ord) for ord in (None, 1, 0, 3, np.inf)]
    assert all(one.dtype == np.float64 for one in norms)
    expected = [np.linalg.norm(z, ord) for ord in (None, 1, 0, 3, np.inf)]
    np.testing.assert_allclose(gc.function([x], norms)(z), expected, rtol=1e-14)


def test_vector_norm_of_all_and_its_gradient_at_0() -> None:
    x = matrices(2, 3)
    close(call(la.vector_norm, x)[0], np.linalg.vector_norm(x))
    v = gc.placeholder("v", (3,), "float64")
    f = gc.function([v], gc.grad(la.vector_norm(v), v))
    np.testing.assert_array_equal(f(np.zeros(3)), np.zeros(3))
    np.testing.assert_allclose(f(np.array([3.0, 0, 4])), [0.6, 0, 0.8])


EMPTY = [(0, 0), (0, 3), (3, 0), (0, 2, 2), (2, 0, 0)]


@pytest.mark.parametrize("symbolic", [True, False])
@pytest.mark.parametrize("shape", EMPTY)
def test_empty_matrices_and_batches(shape: tuple[int, ...], symbolic: bool) -> None:
    x = np.zeros(shape)
    for full in (True, False):
        found = call(lambda x, full=full: la.svd(x, full_matrices=full), x, symbolic=symbolic)
        for one, two in zip(found, np.linalg.svd(x, full_matrices=full), strict=True):
            close(one, two)
        mode: Literal["complete", "reduced"] = "complete" if full else "reduced"
        found = call(lambda x, mode=mode: la.qr(x, mode=mode), x, symbolic=symbolic)
        for one, two in zip(found, np.linalg.qr(x, mode=mode), strict=True):
            close(one, two)
    close(call(la.pinv, x, symbolic=symbolic)[0], np.linalg.pinv(x))
    if shape[-1] == shape[-2]:
        for name in ("inv", "det", "cholesky", "eigvalsh"):
            found = call(getattr(la, name), x, symbolic=symbolic)
            close(found[0], getattr(np.linalg, name)(x))
        assert call(la.solve, x, x, symbolic=symbolic)[0].shape == shape


# --- errors --------------------------------------------------------------------------------------


def failing(function: Callable[..., Any], array: np.ndarray, backend: str) -> str:
    """The message of the error at the call; the variable beside it keeps its value."""
    x = gc.placeholder("x", (None,) * array.ndim, array.dtype)
    count = gc.variable(np.zeros(2), name="count")
    built = function(x)
    output = gc.sum(built[0] if isinstance(built, tuple) else built)
    f = gc.function([x], output, updates={count: count + output}, backend=backend)
    with pytest.raises(LinearAlgebraError) as caught:
        f(array)
    assert isinstance(caught.value, np.linalg.LinAlgError) and caught.value.code == "E406"
    assert "test_linalg.py" in str(caught.value) and caught.value.fix
    np.testing.assert_array_equal(count.value, np.zeros(2))
    return caught.value.message


@pytest.mark.parametrize("backend", BACKENDS)
def test_matrices_that_cannot_be_handled(backend: str) -> None:
    batch = np.stack([np.eye(3)] * 4)
    batch[3, 1, 1] = 0.0
    assert failing(la.cholesky, -np.eye(2), backend) == (
        "cholesky: the matrix is not positive definite (leading minor of order 1)"
    )
    assert failing(la.cholesky, batch, backend) == (
        "cholesky: matrix 3 of the batch is not positive definite (leading minor of order 2)"
    )
    if backend == "numba_cpu":
        return  # compiles for seconds; every step runs through one function there
    assert failing(la.inv, batch[3], backend) == "inv: the matrix is singular (pivot 2 is 0)"
    assert failing(lambda x: la.solve(x, x), batch, backend) == (
        "solve: matrix 3 of the batch is singular (pivot 2 is 0)"
    )
    assert failing(lambda x: la.triangular_solve(x, x), batch, backend) == (
        "triangular_solve: matrix 3 of the batch is singular (pivot 2 is 0)"
    )


@pytest.mark.parametrize("name", ["eigh", "eigvalsh", "svd", "svdvals", "pinv", "cholesky", "det"])
def test_nan_does_what_it_does_in_numpy(name: str) -> None:
    """An error where numpy raises one, nan where it gives nan."""
    x = np.full((2, 3, 3), np.nan)
    try:
        with np.errstate(all="ignore"):
            expected = getattr(np.linalg, name)(x)
    except np.linalg.LinAlgError:
        with pytest.raises(LinearAlgebraError, match=f"{name}: .*matrix 0 of the batch"):
            call(getattr(la, name), x)
    else:
        np.testing.assert_array_equal(call(getattr(la, name), x)[0], expected)


def test_unused_matrices_are_not_looked_at() -> None:
    x = gc.placeholder("x", (2, 2))
    inverse = la.inv(x)
    f = gc.function([x], gc.zeros(inverse.shape) + x)
    np.testing.assert_array_equal(f(np.zeros((2, 2), "float32")), np.zeros((2, 2)))


def test_shapes_and_dtypes() -> None:
    x = gc.placeholder("x", (2, 3))
    for function in (la.inv, la.det, la.cholesky, la.eigh, la.slogdet, la.eigvalsh):
        with pytest.raises(ShapeError, match="square"):
            function(x)
    with pytest.raises(ShapeError, match="rows"):
        la.solve(gc.zeros((2, 2)), gc.zeros((3,)))
    with pytest.raises(ShapeError, match="2 axes"):
        la.svd(gc.zeros((3,)))
    with pytest.raises(ShapeError, match="fit"):
        la.lstsq(gc.zeros((2, 2)), gc.zeros((3,)))
    with pytest.raises(DTypeError, match="float16"):
        la.inv(gc.zeros((2, 2), "float16"))
    with pytest.raises(ParameterError):
        la.qr(x, mode="r")  # type: ignore[arg-type]
    with pytest.raises(ParameterError):
        la.matrix_power(gc.zeros((2, 2)), 0.5)  # type: ignore[arg-type]
    with pytest.raises(ParameterError):
        la.matrix_norm(x, ord=3)
    assert la.inv(gc.zeros((2, 2), "int64")).dtype == np.float32
    assert la.solve(gc.zeros((2, 2), "float32"), gc.zeros((2,), "float64")).dtype == np.float64


def test_symbolic_sizes_that_differ() -> None:
    x = gc.placeholder("x", ("m", "n"), "float64")
    f = gc.function([x], la.inv(x))
    close(f(2 * np.eye(3)), np.eye(3) / 2)
    with pytest.raises(FeedError, match="inv"):
        f(np.zeros((2, 3)))


# --- what the compiler makes of it ---------------------------------------------------------------


def routines(f: gc.Function) -> list[str]:
    assert f.stages.program is not None
    return [step.routine for step in f.stages.program.all_steps if isinstance(step, Lapack)]


def test_gradients_share_the_factors() -> None:
    a, b = gc.placeholder("a", ("n", "n")), gc.placeholder("b", ("n",))
    x = la.solve(a, b)
    f = gc.function([a, b], [x, *gc.grad(gc.sum(x * x), [a, b]), la.slogdet(a).logabsdet])
    assert sorted(routines(f)) == ["getrf", "getrs", "getrs"]


def test_least_squares_takes_one_decomposition() -> None:
    a, b = gc.placeholder("a", ("m", "n")), gc.placeholder("b", ("m",))
    x, residuals, rank, s = la.lstsq(a, b)
    f = gc.function([a, b], [x, residuals, rank, s, gc.grad(gc.sum(x * x), a)])
    assert routines(f) == ["gesdd"]


def test_copies_take_over_the_memory_of_what_dies() -> None:
    x = gc.placeholder("x", (64, 64))
    f = gc.function([x], gc.sum(la.cholesky(x @ x.mT + 1)))
    plan = f.stages.plan
    assert plan is not None and isinstance(plan.peak, int) and plan.peak < 1.5 * 4 * 64 * 64


def test_many_threads_share_a_function() -> None:
    x = gc.placeholder("x", ("n", "n"), "float64")
    f = gc.function([x], la.inv(x))
    arrays = [positive(n, n, seed=n) for n in (3, 8, 20, 40)] * 4
    with ThreadPoolExecutor(4) as pool:
        for array, found in zip(arrays, pool.map(f, arrays), strict=True):
            close(found, np.linalg.inv(array))


def test_in_a_loop() -> None:
    x = gc.placeholder("x", ("t", 3, 3), "float64")
    y = gc.scan(lambda carry, m: (la.solve(m, carry), la.det(m)), gc.ones((3,), "float64"), x)
    f = gc.function([x], y)
    array = positive(4, 3, 3)
    expected = np.ones(3)
    for matrix in array:
        expected = np.linalg.solve(matrix, expected)
    carry, stacked = f(array)
    close(carry, expected)
    close(stacked, np.linalg.det(array))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_determinants_of_small_matrices_and_their_gradients(backend: str, n: int) -> None:
    """By formulas up to 3 x 3; the gradient is right where the matrix is singular, too."""
    array = matrices(5, n, n, seed=n)
    array[1, -1] = 2 * array[1, 0]
    array[2], array[3, 0] = 0, 0
    x = gc.placeholder("x", ("k", n, n), "float64")
    value = la.det(x)
    f = gc.function([x], [value, gc.grad(gc.sum(value), x)], backend=backend)
    found, slope = f(array)
    np.testing.assert_allclose(found, np.linalg.det(array), rtol=1e-12, atol=1e-13)
    for i in range(n):
        for j in range(n):
            rest = np.delete(np.delete(array, i, axis=-2), j, axis=-1)
            cofactor = (-1) ** (i + j) * np.linalg.det(rest)
            np.testing.assert_allclose(slope[:, i, j], cofactor, rtol=1e-10, atol=1e-12)
    program = f.stages.program
    if program is not None:
        assert any(isinstance(step, Lapack) for step in program.steps) == (n > 3)


def test_in_a_branch_that_is_not_taken() -> None:
    x, flag = gc.placeholder("x", ("n", "n"), "float64"), gc.placeholder("flag", (), "bool")
    f = gc.function([flag, x], gc.cond(flag, lambda: la.inv(x), lambda: 2 * x))
    close(f(False, np.zeros((2, 2))), np.zeros((2, 2)))
    close(f(True, 2 * np.eye(2)), np.eye(2) / 2)
    with pytest.raises(LinearAlgebraError, match="inv: the matrix is singular"):
        f(True, np.zeros((2, 2)))


def test_results_are_named_tuples() -> None:
    x = gc.placeholder("x", ("n", "n"), "float64")
    result = gc.function([x], la.eigh(x))(np.diag([2.0, 1.0]))
    np.testing.assert_allclose(result.eigenvalues, [1, 2])
    assert type(result).__name__ == "EighResult"
    assert la.svd(x)._fields == ("U", "S", "Vh")
    assert la.qr(x)._fields == ("Q", "R")
    assert la.slogdet(x)._fields == ("sign", "logabsdet")


def test_one_function_serves_all_sizes() -> None:
    """Workspaces are as large as each size needs."""
    rng = np.random.default_rng(1)
    x = gc.placeholder("x", ("k", "m", "n"))
    f = gc.function([x], [*la.svd(x), *la.svd(x, full_matrices=False), *la.qr(x, mode="complete")])
    for shape in ((1, 70, 3), (2, 3, 70), (1, 40, 40), (3, 1, 5), (2, 0, 4), (0, 3, 3)):
        a = rng.normal(size=shape).astype("float32")
        full_u, _, full_vh, u, s, vh, q, r = f(a)
        close(u * s[:, None, :] @ vh, a, "float32")
        close(q @ r, a, "float32")
        for square in (full_u, full_vh, q):
            unit = np.broadcast_to(np.eye(square.shape[-1]), square.shape)
            close(square @ square.mT, unit, "float32")


# --- general eigenvalues, roots, factors ---------------------------------------------------------


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("size", [1, 2, 5, 40])
def test_eig(backend: str, dtype: str, size: int) -> None:
    x = matrices(2, size, size, seed=size).astype(dtype)
    values, vectors = call(la.eig, x, backend=backend)
    assert values.dtype == vectors.dtype == ("complex64" if dtype == "float32" else "complex128")
    close(x @ vectors, vectors * values[:, None, :], dtype)
    close(np.linalg.norm(vectors, axis=-2), np.ones((2, size)), dtype)
    expected = np.linalg.eig(x)
    close(np.sum(values, axis=-1), np.trace(x, axis1=-2, axis2=-1), dtype)
    close(np.prod(values, axis=-1), np.prod(expected.eigenvalues, axis=-1), dtype)
    close(call(la.eigvals, x, backend=backend)[0].sum(-1), values.sum(-1), dtype)


def test_eig_of_a_rotation() -> None:
    x = np.array([[0.0, -2.0], [2.0, 0.0]])
    values, vectors = call(la.eig, x)
    expected = np.linalg.eig(x)
    np.testing.assert_allclose(values, expected.eigenvalues, atol=1e-14)
    np.testing.assert_allclose(vectors, expected.eigenvectors, atol=1e-14)


@pytest.mark.parametrize("function", [la.eig, la.eigvals, la.schur])
def test_eigenvalues_of_nan(function: Any) -> None:
    with pytest.raises(LinearAlgebraError, match="did not converge"):
        call(function, np.full((3, 3), np.nan))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_schur_of_a_rotation(dtype: str) -> None:
    x = matrices(3, 6, 6).astype(dtype)
    t, z = call(la.schur, x)
    close(z @ t @ np.swapaxes(z, 1, 2), x, dtype)
    close(z @ np.swapaxes(z, 1, 2), np.broadcast_to(np.eye(6), z.shape), dtype)
    assert np.all(np.tril(t, -2) == 0)


def test_roots_that_are_not_real() -> None:
    """One root, among matrices that have none."""
    bad = [np.diag([1.0, -1.0]), np.full((2, 2), np.nan), np.zeros((2, 2)), -POSITIVE[:2, :2]]
    bad += [np.diag([-1.0, -2.0]), np.diag([-3.0, 2.0]), np.ones((2, 2))]
    (found,) = call(la.sqrtm, np.stack([np.diag([1.0, 4.0]), *bad]))
    np.testing.assert_allclose(found[0], np.diag([1.0, 2.0]), rtol=1e-14)
    assert np.isnan(found[1:]).all()


@pytest.mark.parametrize("scale", [1e-150, 1e-3, 1.0, 1e150])
def test_roots_of_all_sizes(scale: float) -> None:
    x = scale * (positive(30, 30) + np.triu(matrices(30, 30)))
    (found,) = call(la.sqrtm, x)
    limit = 1e-10 * np.abs(x / scale).max()
    np.testing.assert_allclose(found @ found / scale, x / scale, atol=limit)


def test_pivots() -> None:
    x = matrices(6, 4)
    found, pivots = call(la.lu_factor, x)
    expected = scipy.linalg.lapack.dgetrf(x)
    np.testing.assert_allclose(found, expected[0], rtol=1e-12)
    np.testing.assert_array_equal(pivots, expected[1])
    assert pivots.dtype == "int32"


def test_factors_of_a_singular_matrix() -> None:
    x = np.ones((3, 3))
    p, lower, upper = call(la.lu, x)
    np.testing.assert_array_equal(p @ lower @ upper, x)
    with pytest.raises(LinearAlgebraError, match="singular"):
        call(lambda a: la.lu_solve(la.lu_factor(a), gc.ones((3,), "float64")), x)


@pytest.mark.parametrize(
    ("build", "error", "text"),
    [
        (lambda x: la.lu_solve(x, x), ParameterError, "pair"),
        (lambda x: la.lu_solve(la.lu_factor(x), x, trans=2), ParameterError, "trans"),
        (lambda x: la.lu_solve((x, x), x), ShapeError, "do not fit"),
        (lambda x: la.lu_solve(la.lu_factor(x[:2]), x[:2]), ShapeError, "square"),
        (lambda x: la.eig(x[:2]), ShapeError, "square"),
        (lambda x: la.lu(x.astype("complex64")), DTypeError, "complex64"),
        (lambda x: la.sqrtm(x[0]), ShapeError, "2 axes"),
        (lambda x: la.polar(x, "up"), ParameterError, "side"),  # type: ignore[arg-type]
        (lambda x: la.tensorinv(x, 0), ParameterError, "ind"),
        (lambda x: la.block_diag(), ParameterError, "no arrays"),
        (lambda x: la.block_diag(x[None]), ShapeError, "two axes"),
        (lambda x: la.circulant(x), ShapeError, "one axis"),
        (lambda x: gc.grad(gc.sum(la.schur(x).T), x), gc.GraphcError, "schur"),
    ],
)
def test_what_new_functions_refuse(build: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text) as caught:
        build(gc.placeholder("x", (3, 3)))
    assert "test_linalg.py" in str(caught.value)
