"""Every elementary function against mpmath, in units in the last place, at several lane counts."""

import ctypes
import functools
import math
from collections.abc import Callable
from typing import Any

import llvmlite.binding as llvm
import mpmath
import numpy as np
import pytest

from graphc.backends.llvm.target import host, is_x86
from graphc.backends.llvm.text import module_text
from graphc.backends.llvm.vector_math import EMITTERS, LIBM_SYMBOLS, tabulated_power
from graphc.backends.llvm.vector_math.sample import TWO_ARGUMENTS, sample_function

Array = np.ndarray[Any, Any]

DTYPES: dict[str, Any] = {"float": np.float32, "double": np.float64}
LANES = (1, 4, 8, 16, 32)
POINTS = 256  # a range; a multiple of all lane counts
CASES = [(name, type) for name in EMITTERS for type in DTYPES]
INF, NAN = math.inf, math.nan

BOUNDS = dict.fromkeys(EMITTERS, 2.0) | dict.fromkeys(
    ("pow", "tan", "asin", "acos", "sinh", "cosh", "asinh", "acosh", "atanh"), 4.0
)
WITHOUT_FMA = 0.5  # more
if not host().has_fma:
    BOUNDS = {name: bound + WITHOUT_FMA for name, bound in BOUNDS.items()}
REFERENCES: dict[str, Callable[..., Any]] = {
    "exp": mpmath.exp,
    "exp2": lambda x: mpmath.mpf(2) ** x,
    "expm1": mpmath.expm1,
    "sigmoid": lambda x: 1 / (1 + mpmath.exp(-x)),
    "log": mpmath.log,
    "log2": lambda x: mpmath.log(x, 2),
    "log10": mpmath.log10,
    "log1p": mpmath.log1p,
    "sin": mpmath.sin,
    "cos": mpmath.cos,
    "tan": mpmath.tan,
    "asin": mpmath.asin,
    "acos": mpmath.acos,
    "atan": mpmath.atan,
    "atan2": mpmath.atan2,
    "sinh": mpmath.sinh,
    "cosh": mpmath.cosh,
    "tanh": mpmath.tanh,
    "asinh": mpmath.asinh,
    "acosh": mpmath.acosh,
    "atanh": mpmath.atanh,
    "erf": mpmath.erf,
    "pow": mpmath.power,
    "cbrt": lambda x: mpmath.sign(x) * mpmath.cbrt(abs(x)),
}
NUMPY: dict[str, Callable[..., Array]] = {
    name: getattr(np, {"pow": "power"}.get(name, name))
    for name in EMITTERS
    if name not in ("erf", "sigmoid")
} | {
    "erf": np.vectorize(math.erf),
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
}


class Sampled:
    """One function compiled at several lane counts, called on arrays."""

    def __init__(
        self,
        name: str,
        type: str,
        has_fma: bool | None = None,
        cpu: str = "",
        waits: bool = False,
        has_avx512: bool = False,
    ) -> None:
        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        features = "" if cpu else llvm.get_host_cpu_features().flatten()
        triple = llvm.get_process_triple()
        if has_fma is None:
            has_fma = "+fma" in features.split(",") or not is_x86(triple)
        target = llvm.Target.from_triple(triple)
        cpu = cpu or llvm.get_host_cpu_name()
        machine = target.create_target_machine(cpu=cpu, features=features, opt=2, jit=True)
        functions = [
            sample_function(name, type, n, has_fma, f"lanes{n}", waits, has_avx512) for n in LANES
        ]
        module = llvm.parse_assembly(module_text(functions))
        module.verify()
        library = llvm.JITLibraryBuilder().add_object_img(machine.emit_object(module))
        library.add_current_process()
        for n in LANES:
            library.export_symbol(f"lanes{n}")
        self.linker = llvm.create_lljit_compiler(machine)
        self.tracker = library.link(self.linker, "sampled")
        pointer = ctypes.c_void_p
        prototype = ctypes.CFUNCTYPE(None, pointer, pointer, pointer, ctypes.c_int64)
        self.native = {n: prototype(self.tracker[f"lanes{n}"]) for n in LANES}
        self.dtype = DTYPES[type]

    def __call__(self, arguments: tuple[Array, ...], lanes: int) -> Array:
        x, y = arguments[0], arguments[-1]
        size = -(-x.size // 16) * 16
        x, y = (np.resize(a.astype(self.dtype), size) for a in (x, y))
        out = np.empty_like(x)
        self.native[lanes](x.ctypes.data, y.ctypes.data, out.ctypes.data, size)
        return out[: arguments[0].size]


@functools.cache
def sampled(name: str, type: str) -> Sampled:
    return Sampled(name, type)


def ranges(name: str, type: str) -> list[tuple[Array, ...]]:
    """Random arguments that together cover where the function is finite."""
    rng = np.random.default_rng(7)
    single = type == "float"
    dtype = DTYPES[type]
    top = math.log(float(np.finfo(dtype).max))
    tiny = math.log(float(np.finfo(dtype).tiny))
    epsilon = math.log(float(np.finfo(dtype).eps))

    def uniform(low: float, high: float) -> Array:
        return np.asarray(rng.uniform(low, high, POINTS), dtype)

    def positive(low: float, high: float) -> Array:
        return np.asarray(np.exp(rng.uniform(low, high, POINTS)), dtype)

    def signed(low: float, high: float) -> Array:
        return np.asarray(positive(low, high) * rng.choice(np.array([-1, 1], dtype), POINTS))

    subnormal_log = tiny + epsilon + 1
    any_size = signed(subnormal_log, top)
    near_one = dtype(1) + signed(epsilon, -1)
    below_one = dtype(1) - positive(epsilon, -0.5)
    bits = dtype(math.log2(math.e))
    choices: dict[str, list[Array]] = {
        "exp": [uniform(subnormal_log, top), uniform(-1, 1)],
        "exp2": [uniform(subnormal_log, top) * bits, uniform(-1, 1)],
        "expm1": [uniform(-40, top), uniform(-1, 1), signed(tiny, 1)],
        "sigmoid": [uniform(subnormal_log, -subnormal_log), uniform(-5, 5)],
        "log": [np.abs(any_size), uniform(0.4, 2.1), near_one],
        "log1p": [np.abs(any_size), uniform(-1, 2), signed(tiny, -1), below_one * -1],
        "sin": [uniform(-10, 10), uniform(-1e5, 1e5), signed(0, 30), any_size],
        "asin": [uniform(-1, 1), signed(tiny, 0), below_one],
        "atan": [uniform(-3, 3), any_size],
        "sinh": [uniform(-top, top), uniform(-2, 2), signed(tiny, 1)],
        "tanh": [uniform(-10, 10), uniform(-1, 1), signed(tiny, 4)],
        "asinh": [uniform(-3, 3), any_size],
        "acosh": [uniform(1, 3), dtype(1) + positive(epsilon, 3), positive(0, top)],
        "atanh": [uniform(-1, 1), signed(tiny, 0), below_one],
        "erf": [uniform(-6, 6), uniform(-1.2, 1.2), signed(tiny, 2)],
        "cbrt": [uniform(-10, 10), any_size],
    }
    for alias, of in {"log2": "log", "log10": "log", "cos": "sin", "tan": "sin"}.items():
        choices[alias] = choices[of]
    for alias, of in {"acos": "asin", "cosh": "sinh"}.items():
        choices[alias] = choices[of]
    if name in choices:
        return [(x,) for x in choices[name]]
    if name == "atan2":
        return [(uniform(-1, 1), uniform(-1, 1)), (signed(-20, 20), signed(-20, 20))]
    base, exponent = positive(-1, 1), uniform(subnormal_log, 0.99 * top)
    return [
        (base, (exponent / np.log(base.astype(np.float64))).astype(dtype)),
        (positive(-5, 5), uniform(-8, 8)),
        (np.abs(any_size), uniform(-0.9, 0.9)),
        (uniform(-9, 0), np.round(uniform(-20, 20))),
        (dtype(1) + signed(epsilon, -8), signed(0, 3.9 if single else 4)),
    ]


def errors_in_ulp(name: str, arguments: tuple[Array, ...], got: Array) -> Array:
    """|got - exact| in units of the last place of the exact value."""
    reference = REFERENCES[name]
    with mpmath.workprec(160):
        exact = [
            reference(*map(mpmath.mpf, point))
            for point in zip(*map(np.ndarray.tolist, arguments), strict=True)
        ]
        high = np.array([float(value) for value in exact])
        low = np.array([float(value - h) for value, h in zip(exact, high.tolist(), strict=True)])
    unit = np.spacing(np.abs(high.astype(got.dtype))).astype(np.float64)
    return np.asarray(np.abs((got.astype(np.float64) - high) - low) / unit)


@pytest.mark.parametrize(("name", "type"), CASES)
def test_error_and_equal_bits_at_every_lane_count(name: str, type: str) -> None:
    function = sampled(name, type)
    for arguments in ranges(name, type):
        got = function(arguments, 8)
        worst = errors_in_ulp(name, arguments, got).max()
        assert worst <= BOUNDS[name], f"{worst} ulp"
        for lanes in LANES:
            assert function(arguments, lanes).tobytes() == got.tobytes(), lanes


@functools.cache
def waiting(name: str, type: str) -> Sampled:
    """With the short chains of loops whose steps wait for each other."""
    return Sampled(name, type, waits=True)


@pytest.mark.parametrize(("name", "type"), CASES)
def test_error_of_short_chains(name: str, type: str) -> None:
    function = waiting(name, type)
    for arguments in ranges(name, type):
        alone = function(arguments, 1)
        worst = errors_in_ulp(name, arguments, alone).max()
        assert worst <= BOUNDS[name], f"{worst} ulp"
        # Loops in pieces side by side rely on that.
        assert function(arguments, 8).tobytes() == alone.tobytes()


@pytest.mark.parametrize("type", DTYPES)
def test_tabulated_tanh_everywhere(type: str) -> None:
    """In every row of the table, at its edges, beside the table, and without FMA."""
    dtype: Any = DTYPES[type]
    rng = np.random.default_rng(3)
    edges = np.unique(np.exp2(np.arange(-4, 6)[:, None]) * (1 + np.arange(32) / 32)).astype(dtype)
    below, above = np.nextafter(edges, dtype(0)), np.nextafter(edges, dtype(99))
    within = edges * (1 + rng.uniform(0, 1 / 32, edges.size)).astype(dtype)
    ends = np.array([9.0, 9.02, 9.5, 19.0, 20.0, 20.1, 1e-30, 0.1, 0.124999], dtype)
    x = np.concatenate([edges, below, above, within, ends])
    arguments = (np.concatenate([x, -x]),)
    fused = waiting("tanh", type)(arguments, 1)
    assert errors_in_ulp("tanh", arguments, fused).max() <= 1.9
    assert (fused[: x.size] == -fused[x.size :]).all()
    assert waiting("tanh", type)(arguments, 8).tobytes() == fused.tobytes()
    if llvm.get_process_triple().startswith("x86_64"):
        plain = Sampled("tanh", type, has_fma=False, cpu="x86-64", waits=True)
        assert errors_in_ulp("tanh", arguments, plain(arguments, 1)).max() <= 2


def special_values(type: str) -> Array:
    info = np.finfo(DTYPES[type])
    values = [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 10.0, 30.5, 100.0, 150.0, 800.0, 1e10, INF]
    values += [float(v) for v in (info.max, info.tiny, info.smallest_subnormal, info.eps)]
    values += [float(info.tiny) / 4, 1 - float(info.epsneg), 1 + float(info.eps)]
    return np.array([s * v for v in values for s in (1.0, -1.0)] + [NAN], DTYPES[type])


@pytest.mark.parametrize(("name", "type"), CASES)
def test_special_values_are_those_of_numpy(name: str, type: str) -> None:
    x = special_values(type)
    arguments: tuple[Array, ...] = (x,)
    if name in TWO_ARGUMENTS:
        arguments = (np.repeat(x, x.size), np.tile(x, x.size))
    with np.errstate(all="ignore"):
        wide = np.longdouble if type == "double" else np.float64
        call = [a.astype(wide) if name not in ("erf",) else a for a in arguments]
        expected = NUMPY[name](*call).astype(DTYPES[type])
    for function, lanes in ((sampled, 1), (sampled, 8), (waiting, 1)):
        got = function(name, type)(arguments, lanes)
        for i, (value, wanted) in enumerate(zip(got, expected, strict=True)):
            where = f"{name}{tuple(float(a[i]) for a in arguments)} at {lanes} lanes"
            if not np.isfinite(wanted) or wanted == 0 or not np.isfinite(value):
                np.testing.assert_array_equal(value, wanted, where)
                assert np.isnan(wanted) or np.signbit(value) == np.signbit(wanted), where
            else:
                unit = float(abs(wanted) - np.nextafter(abs(wanted), DTYPES[type](0)))
                error = abs(float(value) - float(wanted)) / unit
                assert error <= BOUNDS[name] + 1, f"{where}: {value} for {wanted}"


@pytest.mark.parametrize(("name", "type"), [("exp", "float"), ("sin", "float"), ("pow", "double")])
def test_without_fma(name: str, type: str) -> None:
    if not llvm.get_process_triple().startswith("x86_64"):
        pytest.skip("the target without FMA is x86-64")
    function = Sampled(name, type, has_fma=False, cpu="x86-64")
    for arguments in ranges(name, type):
        got = function(arguments, 4)
        assert errors_in_ulp(name, arguments, got).max() <= BOUNDS[name] + WITHOUT_FMA


@pytest.mark.parametrize("type", DTYPES)
def test_cube_roots_without_fma_of_the_largest_numbers(type: str) -> None:
    if not llvm.get_process_triple().startswith("x86_64"):
        pytest.skip("the target without FMA is x86-64")
    largest = np.finfo(DTYPES[type]).max
    arguments = np.nextafter(np.array([largest, -largest, 0.75 * largest, np.inf], DTYPES[type]), 0)
    got = Sampled("cbrt", type, has_fma=False, cpu="x86-64")((arguments,), 4)
    np.testing.assert_allclose(got, np.cbrt(arguments), rtol=3 * np.finfo(DTYPES[type]).eps)


def test_a_lane_does_not_depend_on_its_neighbours() -> None:
    """A huge argument in one lane sends that lane alone through libm."""
    for type, dtype in DTYPES.items():
        function = sampled("sin", type)
        x = np.linspace(-50, 50, 64).astype(dtype)
        alone = function((x,), 8)
        x[::8] = 1e30
        assert (function((x,), 8).reshape(-1, 8)[:, 1:] == alone.reshape(-1, 8)[:, 1:]).all()


@pytest.mark.parametrize("type", DTYPES)
def test_powers_of_small_integers_are_exact(type: str) -> None:
    base, exponent = (a.ravel() for a in np.meshgrid(np.arange(1.0, 65.0), np.arange(5.0)))
    exact = base**exponent
    got = sampled("pow", type)((base, exponent), 8)
    fits = exact < 2 / np.finfo(DTYPES[type]).eps
    np.testing.assert_array_equal(got[fits], exact[fits])


def test_libm_symbols_are_the_ones_declared() -> None:
    declared: set[str] = set()
    for name, type in CASES:
        declared |= sample_function(name, type, 8).declarations
    names = {line.partition("@")[2].partition("(")[0] for line in declared}
    assert {name for name in names if not name.startswith("llvm.")} == set(LIBM_SYMBOLS)


@pytest.mark.parametrize(("name", "limit"), [("exp", 22), ("log", 34), ("tanh", 35), ("pow", 62)])
def test_code_stays_lean(name: str, limit: int) -> None:
    overhead = 8 if name in TWO_ARGUMENTS else 6  # values of the sample loop itself
    assert sample_function(name, "float", 8).text.count("\n  %") - overhead <= limit


@pytest.mark.skipif(not host().has_avx512, reason="needs AVX-512")
@pytest.mark.parametrize(
    ("name", "type"),
    [
        (name, type)
        for name in ("exp", "exp2", "sigmoid", "sinh", "cosh", "pow", "log", "log2", "log10")
        for type in DTYPES
        if (name, type) != ("pow", "float")  # from tables, see below
    ],
)
def test_instructions_for_exponents_give_the_same_bits(name: str, type: str) -> None:
    once = Sampled(name, type, has_avx512=True)
    special = np.array(
        [0, -0.0, INF, -INF, NAN, 1e30, -1e30, 1, -1, 88.7, -87.4, -103.9, 1e-40, -1e-40, 1e-310]
        + [np.nextafter(x, y) for x in (4 / 3, 2 / 3, 2**0.5, 0.5**0.5) for y in (0, x, 2)]
    )
    for arguments in [*ranges(name, type), (special, special[::-1])]:
        for lanes in LANES:
            expected = sampled(name, type)(arguments, lanes)
            found = once(arguments, lanes)
            np.testing.assert_array_equal(found, expected)
            same = (np.signbit(found) == np.signbit(expected)) | np.isnan(expected)
            assert same.all()


@pytest.mark.skipif(not host().has_avx512, reason="needs AVX-512")
class TestPowersFromTables:
    def test_errors(self) -> None:
        """Also of bases near 1, whose logarithms are small and exponents large; the bits do not
        depend on the number of lanes."""
        rng, from_tables = np.random.default_rng(2), Sampled("pow", "float", has_avx512=True)
        bits = rng.integers(1, 0x7F800000, POINTS, np.int32).view(np.float32)
        near = np.asarray(1 + rng.choice([-1, 1], POINTS) * 2 ** rng.uniform(-23, -1, POINTS), "f4")
        for base in (bits, near, np.asarray(rng.uniform(1, 1.03125, POINTS) + 1e-6, np.float32)):
            logarithm = np.log2(base.astype(np.float64))
            logarithm[logarithm == 0] = 1
            exponent = np.asarray(rng.uniform(-126, 127.9, POINTS) / logarithm, np.float32)
            found = from_tables((base, exponent), 16)
            wanted = np.power(base.astype(np.float64), exponent.astype(np.float64))
            unit = np.spacing(np.abs(wanted.astype(np.float32))).astype(np.float64)
            assert np.max(np.abs(found - wanted) / unit) < 1.25
            for lanes in LANES:
                np.testing.assert_array_equal(from_tables((base, exponent), lanes), found)

    def test_special_arguments(self) -> None:
        numbers = [0, 1, INF, 2, 0.5, 3, 2.5, 1e-40, 1e-45, 3e38, 1 + 2**-23, 1 - 2**-24, 1e30]
        numbers += [16777216, 16777215, 8388607.5, 1 / 3, 129, 149, 150, 151]
        signed = np.array([*numbers, *(-one for one in numbers), NAN], np.float32)
        base, exponent = (one.ravel() for one in np.meshgrid(signed, signed))
        found = Sampled("pow", "float", has_avx512=True)((base, exponent), 16)
        with np.errstate(all="ignore"):
            wanted = np.power(base.astype(np.float64), exponent.astype(np.float64))
            wanted = wanted.astype(np.float32)
        np.testing.assert_array_max_ulp(found, wanted, 1)
        same = (np.signbit(found) == np.signbit(wanted)) | np.isnan(wanted)
        assert same.all()

    def test_exact_powers(self) -> None:
        pairs = [(n, k) for n in range(1, 4097) for k in range(1, 25) if n**k < 2**24]
        base, exponent = np.array(pairs, np.float32).T
        wanted = np.array([n**k for n, k in pairs], np.float32)
        f = Sampled("pow", "float", has_avx512=True)
        np.testing.assert_array_equal(f((base, exponent), 16), wanted)
        signs = np.where(exponent % 2 == 1, -1, 1)
        np.testing.assert_array_equal(f((-base, exponent), 16), wanted * signs)
        roots = f((wanted * wanted, np.full_like(wanted, 0.5)), 16)[wanted < 4096]
        np.testing.assert_array_equal(roots, wanted[wanted < 4096])

    def test_reductions_are_exact(self) -> None:
        """f = m*c - 1 for the ends of each row, and for numbers in between."""
        inverses = tabulated_power.tables()[0]
        mantissas = np.arange(2**23, 2**24, 127, dtype=np.int64)
        for row, c in enumerate(inverses):
            mine = mantissas[(mantissas >> tabulated_power.INDEX_SHIFT) % 32 == row]
            f = mine / 2.0**23 * c - 1
            assert (f.astype(np.float32) == f).all()
            assert np.abs(f).max() <= tabulated_power.LARGEST
