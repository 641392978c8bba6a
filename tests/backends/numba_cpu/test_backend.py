"""Native code by Numba against the loop interpreter and numpy, bit for bit where that is meant."""

import ast
import os
import threading
import traceback
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from graphc.backends.interpreter.backend import make_backend as make_interpreter
from graphc.backends.numba_cpu import backend as numba_backend
from graphc.backends.numba_cpu import compile as numba_compile
from graphc.backends.numba_cpu.backend import NumbaExecutable, make_backend
from graphc.backends.registry import get_backend
from graphc.dtypes import (
    DType,
    bool_,
    float16,
    float32,
    float64,
    int8,
    int32,
    int64,
    is_bool,
    is_floating,
    is_integer,
    uint8,
    uint64,
)
from graphc.errors import BackendError
from graphc.loops.ir import (
    Accumulate,
    Accumulator,
    Buffer,
    Contraction,
    Fault,
    For,
    If,
    IndexCheck,
    Kernel,
    KernelCall,
    Let,
    Parameter,
    Program,
    Statement,
    Store,
)
from graphc.loops.verifier import verify_program
from graphc.scalar import expr as s
from graphc.scalar.evaluate import apply_op
from graphc.scalar.expr import (
    ARITHMETIC,
    BITWISE,
    COMPARISON,
    Call,
    Const,
    Expr,
    Index,
    Load,
    Local,
)
from graphc.scalar.types import ACCEPTS
from graphc.shapes import Dim
from tests.loops.cases import (
    AFFINE,
    ARGMAX,
    CASES,
    SCATTER_ADD,
    KernelCase,
    batched_program,
    c32,
    float32_local,
    layer_program,
)

n, i = Dim.symbol("n"), Dim.symbol("i")
at_i = Index(i)


def call_program(kernel: Kernel, arrays: Sequence[np.ndarray]) -> Program:
    """One call of a kernel on buffers of exactly the shapes of `arrays`."""
    buffers = {
        parameter.name: Buffer(
            parameter.name,
            parameter.dtype,
            array.shape,
            "output" if parameter.written else "input",
        )
        for parameter, array in zip(kernel.parameters, arrays, strict=True)
    }
    sizes = tuple(Dim.symbol(name) for name in kernel.sizes)
    outputs = tuple(item.name for item in kernel.parameters if item.written)
    return Program(
        "call",
        kernel.sizes,
        buffers,
        (KernelCall(kernel, tuple(buffers), sizes),),
        outputs=outputs,
    )


def run_kernel(
    kernel: Kernel, arrays: Sequence[np.ndarray], sizes: Sequence[int], threads: int = 1
) -> NumbaExecutable:
    program = call_program(kernel, arrays)
    verify_program(program)
    executable = make_backend().compile(program, threads=threads)
    executable.bind(sizes, [])(arrays)
    return executable


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_kernels_equal_numpy(case: KernelCase) -> None:
    for size_n, size_m in [(0, 3), (3, 0), (1, 1), (2, 7), (5, 13)]:
        arguments = case.arrays(size_n, size_n, size_m)
        expected = case.expected(*arguments)
        written = [np.zeros_like(array) for array in expected]
        run_kernel(case.kernel, [*arguments, *written], case.sizes(size_n, size_m))
        for got, wanted in zip(written, expected, strict=True):
            np.testing.assert_allclose(got, wanted, rtol=2e-6, atol=1e-7)


def layer_arrays() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(4, 5)).astype("f"), rng.normal(size=(3, 5)).astype("f")
    index = np.array([3, -4, 0], np.int32)
    return [x, w, index, np.empty((4, 3), "f"), np.empty((3, 3), "f")]


def test_program_equals_the_interpreter() -> None:
    results = []
    for backend in (get_backend("numba_cpu"), make_interpreter()):
        arrays = layer_arrays()
        backend.compile(layer_program()).bind([4, 3], [np.empty((4, 3), "f")])(arrays)
        results.append(arrays)
    for got, expected in zip(*results, strict=True):
        np.testing.assert_allclose(got, expected, rtol=2e-6)


@pytest.mark.parametrize("bad", [4, -5])
def test_index_check_raises_fault(bad: int) -> None:
    arrays = layer_arrays()
    arrays[2][:] = [0, bad, 99]
    bound = make_backend().compile(layer_program()).bind([4, 3], [np.empty((4, 3), "f")])
    with pytest.raises(Fault) as caught:
        bound(arrays)
    assert (caught.value.step, caught.value.value) == (0, bad)


@pytest.mark.parametrize("dtype", [int8, uint8, uint64])
def test_index_checks_of_every_integer(dtype: DType) -> None:
    buffers = {"index": Buffer("index", dtype, (2,), "input")}
    program = Program("check", (), buffers, (IndexCheck("index", 2, -5, 5, 0, "take"),))
    run = make_backend().compile(program).bind([], [])
    run([np.array([0, 4], dtype)])
    largest = np.iinfo(dtype).max
    with pytest.raises(Fault) as caught:
        run([np.array([4, largest], dtype)])
    assert caught.value.value == largest


@pytest.mark.parametrize("size", [0, 1, 2])
def test_batched_contraction(size: int) -> None:
    rng = np.random.default_rng(0)
    a, w = rng.normal(size=(size, 4, 2)).astype("f"), rng.normal(size=(3, 4, 5)).astype("f")
    out = np.empty((size, 3, 2, 5), "f")
    make_backend().compile(batched_program()).bind([size], [])([a, w, out])
    expected = np.einsum("bki,hkj->bhij", a, w)
    np.testing.assert_allclose(out, expected, rtol=2e-6, atol=1e-6)


def test_contraction_over_nothing_is_zero() -> None:
    buffers = [
        Buffer("a", float32, (2, 0), "input"),
        Buffer("b", float32, (0, 3), "input"),
        Buffer("out", float32, (2, 3), "output"),
    ]
    program = Program(
        "empty",
        (),
        {buffer.name: buffer for buffer in buffers},
        (Contraction("out", "a", "b", float32, 2, 3, 0),),
        outputs=("out",),
    )
    out = np.ones((2, 3), "f")
    make_backend().compile(program).bind([], [])([np.ones((2, 0), "f"), np.ones((0, 3), "f"), out])
    assert not out.any()


# Every operation on every kind of dtype, at corner values

BINARY = frozenset((*ARITHMETIC, *COMPARISON, *BITWISE, "atan2", "pow", "copysign"))
UNARY = frozenset(ACCEPTS) - BINARY | {"neg", "abs", "not"}
FLOATS = [0.0, -0.0, 1.0, -1.0, 0.5, 1.5, 2.5, -0.5, 3.0, -7.0, 1e-8, 70000.0, 88.5, -104.0]
CORNERS = [*FLOATS, np.inf, -np.inf, np.nan, 0.1]


def corner_values(dtype: DType) -> np.ndarray:
    if is_bool(dtype):
        return np.array([False, True])
    if is_floating(dtype):
        with np.errstate(over="ignore"):
            return np.array(CORNERS).astype(dtype)
    limits = np.iinfo(dtype)
    wanted = [0, 1, 2, 3, 7, 8, 63, 64, 100, limits.min, limits.max, -1, -2, -7]
    return np.array([value for value in wanted if limits.min <= value <= limits.max], dtype)


def operations_kernel(dtype: DType, casts: Sequence[DType]) -> tuple[Kernel, list[Call]]:
    """Every operation on x and y, one result each."""
    x, y = (Load(name, (at_i,), dtype) for name in "xy")
    calls: list[Call] = [
        Call(op, (x,) if op in UNARY else (x, y), bool_ if op in COMPARISON else dtype)
        for op in ACCEPTS
        if ACCEPTS[op](dtype)
    ]
    calls += [Call("cast", (x,), target) for target in casts if target != dtype]
    calls.append(Call("select", (s.lt(x, y), x, s.constant(1, dtype)), dtype))
    if dtype in (float32, float64):
        calls.append(Call("bits", (x,), np.dtype(f"u{dtype.itemsize}")))
    if is_integer(dtype):
        for amount in (0, 3, 100):
            calls += [Call(op, (x, s.constant(amount, dtype)), dtype) for op in ("shl", "shr")]
    results = [
        Parameter(f"out{number}", call.dtype, (n,), written=True)
        for number, call in enumerate(calls)
    ]
    stores = [Store(f"out{number}", (at_i,), call) for number, call in enumerate(calls)]
    arguments = (Parameter("x", dtype, (n,)), Parameter("y", dtype, (n,)))
    body = (For("i", n, "parallel", tuple(stores)),)
    return Kernel("operations", (*arguments, *results), ("n",), body), calls


def expected_value(call: Call, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    if call.op == "select":
        return np.where(x < y, x, x.dtype.type(1))
    operands = [x, y][: len(call.args)]
    if call.op in ("shl", "shr") and isinstance(amount := call.args[1], Const | Index):
        value = amount.value if isinstance(amount, Const) else amount.size
        operands[1] = np.full_like(x, value)
    return np.asarray(apply_op(call.op, operands, call.dtype))


@pytest.mark.parametrize(
    "dtype",
    [
        bool_,
        float32,
        int8,
        *(
            pytest.param(dtype, marks=pytest.mark.slow)
            for dtype in (float16, float64, int32, int64, uint8, uint64)
        ),
    ],
    ids=lambda dtype: dtype.name,
)
def test_every_operation(dtype: DType) -> None:
    values = corner_values(dtype)
    x, y = (grid.ravel().copy() for grid in np.meshgrid(values, values))
    kernel, calls = operations_kernel(dtype, (bool_, float16, float32, float64, int8, uint64))
    results = [np.empty(x.shape, call.dtype) for call in calls]
    run_kernel(kernel, [x, y, *results], [x.size])
    for call, got in zip(calls, results, strict=True):
        expected = expected_value(call, x, y)
        name = f"{call.op} to {call.dtype}"
        if is_integer(call.dtype) or is_bool(call.dtype):
            np.testing.assert_array_equal(got, expected, err_msg=name)
            continue
        tolerance = {2: 1e-3, 4: 2e-7, 8: 1e-15}[call.dtype.itemsize]
        np.testing.assert_allclose(
            got.astype(float64), expected.astype(float64), rtol=tolerance, err_msg=name
        )
        if call.op in ("maximum", "minimum"):
            continue  # which zero wins is open
        number = ~np.isnan(expected)
        np.testing.assert_array_equal(
            np.signbit(got[number]), np.signbit(expected[number]), err_msg=name
        )


# Accumulators, constants, names


def reduction(combine: str, dtype: DType) -> Kernel:
    value = Load("x", (at_i,), dtype)
    positional = combine.startswith("arg")
    statements: list[Statement] = [
        Accumulator("acc", combine, dtype, "position" if positional else None),
        For("i", n, "vector", (Accumulate("acc", value, at_i if positional else None),)),
        Store("y", (), Local("acc", dtype)),
    ]
    parameters = [Parameter("x", dtype, (n,)), Parameter("y", dtype, (), written=True)]
    if positional:
        statements.append(Store("at", (), Local("position", int64)))
        parameters.append(Parameter("at", int64, (), written=True))
    return Kernel("reduction", tuple(parameters), ("n",), tuple(statements))


@pytest.mark.parametrize(
    ("combine", "dtype"),
    [
        ("add", int8),
        ("mul", uint8),
        ("add", float16),
        ("mul", float32),
        ("maximum", float64),
        ("minimum", float16),
        ("maximum", int8),
        ("or", bool_),
        ("argmax", int8),
        ("argmin", float32),
        ("argmin", bool_),
    ],
    ids=lambda item: getattr(item, "name", item),
)
def test_reductions(combine: str, dtype: DType) -> None:
    kernel = reduction(combine, dtype)
    rng = np.random.default_rng(0)
    for size in (0, 1, 17):
        x = rng.integers(-20, 20, size).astype(dtype)
        results = []
        for backend in (make_backend(), make_interpreter()):
            written = [np.zeros((), item.dtype) for item in kernel.parameters[1:]]
            program = call_program(kernel, [x, *written])
            backend.compile(program).bind([size], [])([x, *written])
            results.append(written)
        for got, expected in zip(*results, strict=True):
            np.testing.assert_array_equal(got, expected)


def store_kernel(*values: Expr) -> Kernel:
    parameters = [
        Parameter(f"y{number}", value.dtype, (1,), written=True)
        for number, value in enumerate(values)
    ]
    stores = [Store(f"y{number}", (Index(0),), value) for number, value in enumerate(values)]
    return Kernel("constants", tuple(parameters), (), tuple(stores))


def test_constants_keep_every_bit() -> None:
    wanted: list[tuple[float, DType]] = [
        (0.1, float32),
        (-0.0, float32),
        (np.inf, float32),
        (-np.inf, float64),
        (np.nan, float64),
        (1e-45, float32),
        (5e-324, float64),
        (0.1, float16),
        (2**63 - 1, int64),
        (-(2**63), int64),
        (2**64 - 1, uint64),
        (-128, int8),
        (True, bool_),
    ]
    arrays = [np.zeros(1, dtype) for _, dtype in wanted]
    run_kernel(store_kernel(*(s.constant(value, dtype) for value, dtype in wanted)), arrays, [])
    for (value, dtype), got in zip(wanted, arrays, strict=True):
        assert got.tobytes() == np.array([value]).astype(dtype).tobytes() or value != value


def test_names_are_data() -> None:
    """Names that are code, keywords or Python's own become harmless identifiers."""
    evil = 'x): __import__("os").abort() #'
    names = [evil, "lambda", "np", "exp", "x\n", "", "1", "__class__", "é", "range"]
    parameters = [Parameter(name, float32, (n,)) for name in names]
    total: Expr = c32(0)
    for name in names:
        total = s.add(total, Load(name, (at_i,), float32))
    statements = (
        Let("range", total),
        Store("max", (at_i,), s.maximum(float32_local("range"), s.exp(c32(0)))),
    )
    kernel = Kernel(
        "class",
        (*parameters, Parameter("max", float32, (n,), written=True)),
        ("n",),
        (For("i", n, "parallel", statements),),
        comment="x\n    import os; os.abort()",
    )
    arrays = [np.full(3, number, "f") for number in range(len(names))]
    out = np.empty(3, "f")
    executable = run_kernel(kernel, [*arrays, out], [3])
    assert out.tolist() == [45.0] * 3
    assert r"# x\n    import os; os.abort()" in executable.kernel_source(0)
    used = ast.walk(ast.parse(executable.source))
    assert not {getattr(node, "id", "") for node in used} & {"__import__", "os", "abort"}


def test_sizes_may_be_called_like_functions() -> None:
    size, axis = Dim.symbol("np"), Dim.symbol("range")
    body = (Store("y", (Index(axis),), s.cast(Index(size - axis), float32)),)
    kernel = Kernel(
        "k",
        (Parameter("y", float32, (size,), written=True),),
        ("np",),
        (For("range", size, "parallel", body),),
    )
    out = np.empty(3, "f")
    run_kernel(kernel, [out], [3])
    assert out.tolist() == [3.0, 2.0, 1.0]


# Arguments as users have them


def test_read_only_and_unaligned_feeds() -> None:
    x = np.arange(6, dtype="f").reshape(2, 3)
    x.flags.writeable = False
    raw = np.zeros(13, np.uint8)
    b = raw[1:].view("f")
    b[:] = [10, 20, 30]
    assert not b.flags.aligned
    out = np.empty((2, 3), "f")
    run_kernel(AFFINE, [x, b, out], [2, 3])
    np.testing.assert_allclose(out, (x + b) * np.tanh(x + b), rtol=1e-6)


def test_an_output_must_be_dense() -> None:
    out = np.empty((3, 2), "f").T
    bound = make_backend().compile(call_program(AFFINE, [out, out[0], out])).bind([2, 3], [])
    with pytest.raises((TypeError, ValueError)):
        bound([np.zeros((2, 3), "f"), np.zeros(3, "f"), out])


# Sharing, threads, texts


def test_equal_kernels_are_compiled_once() -> None:
    arrays = [np.zeros((2, 3), "f"), np.zeros(3, "f"), np.zeros((2, 3), "f")]
    run_kernel(AFFINE, arrays, [2, 3])
    before = len(numba_compile._cache)
    other = replace(AFFINE, name="other", comment="", sources=())
    run_kernel(other, arrays, [2, 3])
    assert len(numba_compile._cache) == before


def test_compiling_is_lazy() -> None:
    kernel = store_kernel(c32(123456))
    make_backend().compile(call_program(kernel, [np.zeros(1, "f")]))
    assert not any("123456" in entry.source for entry in numba_compile._cache.values())


def test_many_threads_may_compile_and_call() -> None:
    program = layer_program()
    failures: list[BaseException] = []

    def work() -> None:
        try:
            arrays = layer_arrays()
            make_backend().compile(program).bind([4, 3], [np.empty((4, 3), "f")])(arrays)
            np.testing.assert_array_equal(arrays[4], arrays[3][arrays[2]])
        except BaseException as error:
            failures.append(error)

    workers = [threading.Thread(target=work) for _ in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not failures


def test_large_kernels_run_on_threads_with_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.random.default_rng(0).normal(size=(37, 13)).astype("f")
    arrays = [x, x[0].copy(), np.empty_like(x)]
    run_kernel(AFFINE, arrays, [37, 13])
    serial = arrays[2].copy()
    monkeypatch.setattr(numba_backend, "PARALLEL_WORK", 1)
    arrays[2][:] = 0
    executable = run_kernel(AFFINE, arrays, [37, 13], threads=2)
    assert "prange(n)" in executable.kernel_source(0)
    assert any(entry.parallel for entry in numba_compile._cache.values())
    assert arrays[2].tobytes() == serial.tobytes()


def test_small_kernels_stay_on_one_thread() -> None:
    arrays = [np.zeros((2, 3), "f"), np.zeros(2, np.int64)]
    executable = run_kernel(ARGMAX, arrays, [2, 3], threads=2)
    (text,) = executable.kernels
    assert text.splits and (text.key, True) not in numba_compile._cache


def test_a_forked_child_does_not_use_dead_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numba_compile, "_parallel_pid", [os.getpid() + 1])
    monkeypatch.setattr(numba_backend, "PARALLEL_WORK", 1)
    assert not numba_compile.may_run_parallel()
    arrays = [np.zeros((2, 3), "f"), np.zeros(2, np.int64)]
    run_kernel(ARGMAX, arrays, [2, 3], threads=2)


def test_the_cache_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numba_compile, "CACHE_SIZE", 1)
    monkeypatch.setattr(numba_compile, "_cache", type(numba_compile._cache)())
    for value in range(3):
        numba_compile.compiled_kernel(str(value), "", "k", AFFINE, parallel=False)
    assert [key for key, _ in numba_compile._cache] == ["2"]


def test_texts() -> None:
    executable = make_backend().compile(layer_program())
    assert executable.texts["source"] == executable.source
    assert executable.kernel_source(1) in executable.source
    compile(executable.source, "program", "exec")


SOFTMAX_SOURCE = """\
def softmax(x, y, n, m):
    # y = softmax(x)  train.py:12,13
    # x: f32[n, m], y: f32[n, m] written
    row = np.empty((m,), np.float32)
    for i in range(n):
        top = np.float32(-np.inf)  # train.py:12
        for j in range(m):
            top = maximum(top, x[i, j])  # train.py:12
        total = 0.0  # train.py:12
        for j in range(m):
            e = exp(x[i, j] - top)  # train.py:12
            row[j] = e  # train.py:12
            total += e  # train.py:12
        for j in range(m):
            y[i, j] = row[j]/np.float32(total)  # train.py:13
"""


def test_source_of_a_kernel() -> None:
    source = make_backend().compile(layer_program()).kernel_source(0)
    rows = []
    for row in source.splitlines():
        code, hash_, comment = row.partition("  # ") if "# y" not in row else (row, "", "")
        rows.append(f"{code.rstrip()}{hash_}{comment}" if code.strip() else row)
    text = "\n".join(rows) + "\n"
    assert " ".join(text.split()) == " ".join(SOFTMAX_SOURCE.split())
    assert [row.split("#")[0].rstrip() for row in source.splitlines()] == [
        row.split("#")[0].rstrip() for row in SOFTMAX_SOURCE.splitlines()
    ]


def test_driver_calls_in_step_order() -> None:
    driver = make_backend().compile(layer_program()).driver
    places = [driver.index(text) for text in ("check(index", "np.matmul(", "softmax(t", "gather(p")]
    assert places == sorted(places)
    assert "np.matmul(x_2, w_2.T, out=t_2)" in driver


def test_tracebacks_show_the_generated_source() -> None:
    bound = make_backend().compile(layer_program()).bind([4, 3], [np.empty((4, 3), "f")])
    with pytest.raises(ValueError) as caught:
        bound(layer_arrays()[:2])
    rendered = "".join(traceback.format_exception(caught.value))
    assert "x, w, index, p, rows = arrays" in rendered


def test_a_kernel_that_numba_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = replace(SCATTER_ADD, name="bad")
    broken = numba_compile.CompiledKernel(
        "def bad(index, values, y, n, m):\n    y[0] = unknown\n", "bad", kernel, False
    )
    with pytest.raises(BackendError) as caught:
        broken.dispatcher()
    assert "numba did not compile the kernel bad" in str(caught.value)
    assert "y[0] = unknown" in str(caught.value)


def test_if_and_serial_scatter() -> None:
    guarded = replace(
        SCATTER_ADD,
        body=(
            SCATTER_ADD.body[0],
            If(s.lt(Index(0), Index(n)), (SCATTER_ADD.body[1],)),
        ),
    )
    index, values = np.array([0, 2, -1, 0], np.int32), np.arange(4, dtype="f")
    out = np.empty(3, "f")
    run_kernel(guarded, [index, values, out], [3, 4])
    assert out.tolist() == [3.0, 0.0, 3.0]
