"""Lines of a function of LLVM IR: values, names, blocks, constants, memory and calls.

A value is a `Val`: operand text, element type and number of lanes (1 = a scalar, else a vector).
"""

import math
import struct
from collections.abc import Iterable, Sequence

from graphc.records import dataclass

BITS = {"i1": 1, "i8": 8, "i16": 16, "i32": 32, "i64": 64, "float": 32, "double": 64}
SUFFIX = {"float": "f32", "double": "f64"}  # of overloaded intrinsics; iN is itself
INT_OF = {"float": "i32", "double": "i64"}
SIGN_BIT = {"float": 0x80000000, "double": 0x8000000000000000}


@dataclass(slots=True)
class Val:
    """An operand: `text` is its name or constant, `type` the LLVM element type."""

    text: str
    type: str
    lanes: int = 1

    @property
    def ir_type(self) -> str:
        return self.type if self.lanes == 1 else f"<{self.lanes} x {self.type}>"


def vector_type(type: str, lanes: int) -> str:
    return type if lanes == 1 else f"<{lanes} x {type}>"


def constant_text(value: float, type: str) -> str:
    """The literal of one element: floats as the hexadecimal double that is exactly representable.

    value is rounded to the type; integers wrap to the bits of the type.
    """
    if type == "float":
        try:
            value = struct.unpack("<f", struct.pack("<f", value))[0]
        except OverflowError:
            value = math.copysign(math.inf, value)
    if type in SUFFIX:
        if value != value:
            return "0x7FF8000000000000"
        return f"0x{struct.unpack('<Q', struct.pack('<d', value))[0]:016X}"
    if type == "i1":
        return "true" if value else "false"
    bits = BITS[type]
    wrapped = int(value) & ((1 << bits) - 1)
    return str(wrapped - (1 << bits) if wrapped >> (bits - 1) else wrapped)


class Lines:
    """Collects the lines of one function, and what it needs at module level.

    lines          instructions and labels, in order
    declarations   lines `declare ...`, to be printed once a module
    definitions    name -> text of helper functions, to be printed once a module
    has_fma        the target has fused multiply-add: `fma` rounds once
    has_avx512     the target is x86 with AVX-512: `scalef` and its like may be used
    waits          each step of the code waits for the one before: short chains, not little work
    block_label    the label of the block being filled
    """

    __slots__ = (
        "_constants",
        "_counter",
        "_declared",
        "block_label",
        "declarations",
        "definitions",
        "has_avx512",
        "has_fma",
        "lines",
        "waits",
    )

    def __init__(
        self, *, has_fma: bool = True, has_avx512: bool = False, waits: bool = False
    ) -> None:
        self.lines: list[str] = []
        self.declarations: set[str] = set()
        self.definitions: dict[str, str] = {}
        self.has_fma = has_fma
        self.has_avx512 = has_avx512
        self.waits = waits
        self.block_label = "entry"
        self._counter = 0
        self._declared: set[str] = set()
        self._constants: dict[tuple[float, str, int], Val] = {}

    # Names, lines, blocks

    def fresh(self, hint: str = "t") -> str:
        """A new value name, '%t1'."""
        self._counter += 1
        return f"%{hint}{self._counter}"

    def fresh_label(self, hint: str = "block") -> str:
        """A new block label, 'block.1', without the percent sign."""
        self._counter += 1
        return f"{hint}.{self._counter}"

    def line(self, text: str) -> None:
        self.lines.append(f"  {text}")

    def value(self, text: str) -> str:
        """Append `%tN = text` and return `%tN`."""
        self._counter += 1
        name = f"%t{self._counter}"
        self.lines.append(f"  {name} = {text}")
        return name

    def emit(self, text: str, type: str, lanes: int = 1) -> Val:
        """Append `%tN = text` and return it as a value of the given type."""
        self._counter += 1
        name = f"%t{self._counter}"
        self.lines.append(f"  {name} = {text}")
        return Val(name, type, lanes)

    def block(self, label: str) -> None:
        """Start the block `label`; the block before it must have ended in a branch."""
        self.lines.append(f"{label}:")
        self.block_label = label

    def branch(self, label: str) -> None:
        self.lines.append(f"  br label %{label}")

    def branch_if(self, condition: Val, then: str, otherwise: str) -> None:
        self.lines.append(f"  br i1 {condition.text}, label %{then}, label %{otherwise}")

    def phi(self, incoming: Sequence[tuple[Val, str]]) -> Val:
        """The value of the block that control came from: pairs of value and label."""
        first = incoming[0][0]
        pairs = ", ".join(f"[ {value.text}, %{label} ]" for value, label in incoming)
        return self.emit(f"phi {first.ir_type} {pairs}", first.type, first.lanes)

    def function(self, signature: str, *, plain: bool = False) -> "FunctionText":
        """The finished function; signature is `define ... @name(...) attributes`."""
        body = "\n".join(self.lines)
        text = f"{signature} {{\nentry:\n{body}\n}}\n"
        return FunctionText(text, self.declarations, self.definitions, plain)

    # Constants, splats, lanes

    def constant(self, value: float, type: str, lanes: int = 1) -> Val:
        if value == 0 and type in SUFFIX:  # 0.0 and -0.0 are equal as keys
            return self._constant(value, type, lanes)
        key = (value, type, lanes)
        found = self._constants.get(key)
        if found is None:
            found = self._constants[key] = self._constant(value, type, lanes)
        return found

    @staticmethod
    def _constant(value: float, type: str, lanes: int) -> Val:
        text = constant_text(value, type)
        return Val(text if lanes == 1 else f"splat ({type} {text})", type, lanes)

    def const(self, value: float, like: Val) -> Val:
        """The constant of the type and lanes of `like`."""
        return self.constant(value, like.type, like.lanes)

    def splat(self, scalar: Val, lanes: int) -> Val:
        """A scalar in every lane."""
        if lanes == 1:
            return scalar
        vector = f"<{lanes} x {scalar.type}>"
        one = self.value(f"insertelement {vector} poison, {scalar.type} {scalar.text}, i64 0")
        return self.emit(
            f"shufflevector {vector} {one}, {vector} poison, <{lanes} x i32> zeroinitializer",
            scalar.type,
            lanes,
        )

    def lane(self, a: Val, index: int) -> Val:
        """Element `index` of a vector, as a scalar."""
        if a.lanes == 1:
            return a
        return self.emit(f"extractelement {a.ir_type} {a.text}, i64 {index}", a.type)

    # Memory

    def load(self, pointer: str, type: str, lanes: int = 1, align: int = 0) -> Val:
        """Load from `pointer` (operand text); aligned to one element unless align is given."""
        align = align or max(1, BITS[type] // 8)
        return self.emit(
            f"load {vector_type(type, lanes)}, ptr {pointer}, align {align}", type, lanes
        )

    def store(self, a: Val, pointer: str, align: int = 0) -> None:
        align = align or max(1, BITS[a.type] // 8)
        self.lines.append(f"  store {a.ir_type} {a.text}, ptr {pointer}, align {align}")

    def store_past_cache(self, a: Val, pointer: str) -> None:
        """Store whole lines of 64 bytes, without reading them and without keeping them."""
        self.define("nontemporal", "!0 = !{i32 1}")
        self.lines.append(f"  store {a.ir_type} {a.text}, ptr {pointer}, align 64, !nontemporal !0")

    def again_if(self, condition: str, loop: str, done: str) -> None:
        """End a short loop that much time is spent in: its first instruction begins a line of
        64 bytes, so that the processor fetches the loop with as few lines as it can."""
        self.define("loops", '!1 = distinct !{!1, !2}\n!2 = !{!"llvm.loop.align", i32 64}')
        self.lines.append(f"  br i1 {condition}, label %{loop}, label %{done}, !llvm.loop !1")

    # Calls

    def declare(self, name: str, text: str) -> None:
        """Have `declare text` printed at module level, once a name."""
        if name not in self._declared:
            self._declared.add(name)
            self.declarations.add(f"declare {text}")

    def define(self, name: str, text: str) -> None:
        """Have a helper printed at module level, once a name: a function @name, as a rule."""
        self._declared.add(name)
        self.definitions[name] = text

    def call(self, name: str, args: Sequence[Val], type: str, lanes: int = 1) -> Val:
        """Call @name, declared on first use, with a result of the given type."""
        result = vector_type(type, lanes)
        if name not in self._declared:
            self.declare(name, f"{result} @{name}({', '.join(a.ir_type for a in args)})")
        passed = ", ".join([f"{a.ir_type} {a.text}" for a in args])
        return self.emit(f"call {result} @{name}({passed})", type, lanes)

    def per_lane(self, name: str, args: Sequence[Val]) -> Val:
        """Call the scalar function @name once a lane: slow, for rare paths and missing vectors."""
        first = args[0]
        if first.lanes == 1:
            return self.call(name, args, first.type)
        result = Val("poison", first.type, first.lanes)
        for index in range(first.lanes):
            one = self.call(name, [self.lane(a, index) for a in args], first.type)
            result = self.emit(
                f"insertelement {result.ir_type} {result.text}, {one.type} {one.text}, i64 {index}",
                first.type,
                first.lanes,
            )
        return result


@dataclass(slots=True)
class FunctionText:
    """A finished function and what it needs at module level.

    plain: it has no vectors, and little time is spent in it beside that in what it calls.
    """

    text: str
    declarations: set[str]
    definitions: dict[str, str]
    plain: bool = False


def module_text(functions: Iterable[FunctionText]) -> str:
    """The functions with their declarations and helpers, each once, in an order that is stable."""
    declarations: set[str] = set()
    definitions: dict[str, str] = {}
    texts: list[str] = []
    for function in functions:
        declarations |= function.declarations
        definitions |= function.definitions
        texts.append(function.text)
    helpers = [definitions[name] for name in sorted(definitions)]
    return "\n".join([*sorted(declarations), "", *helpers, *texts])
