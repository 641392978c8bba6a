"""Builder of LLVM IR text: one `TextBuilder` a function, one line an instruction, no objects kept.

    b = TextBuilder(has_fma=True)
    x = b.load("%p", "float", 8)              # %t1 = load <8 x float>, ptr %p, align 4
    y = b.fma(x, x, b.const(1.0, x))          # one rounding where the target has FMA
    b.store(y, "%p")
    text = module_text([b.function("define void @f(ptr %p)")])

Every operation works on all lanes; arguments of one operation have equal type and lanes unless
its docstring says otherwise. No fast-math flag is ever set, except `nsz` on minimum and maximum.

Blocks may be created in the middle of an emission (`branch_if_any` does): whoever needs the label
of the block that is current, for a phi, reads `builder.block_label` after emitting.
"""

from collections.abc import Callable, Sequence

from graphc.backends.llvm.lines import (
    BITS,
    INT_OF,
    SIGN_BIT,
    SUFFIX,
    FunctionText,
    Lines,
    Val,
    constant_text,
    module_text,
    vector_type,
)

__all__ = [
    "BITS",
    "FunctionText",
    "INT_OF",
    "SIGN_BIT",
    "SUFFIX",
    "TextBuilder",
    "Val",
    "constant_text",
    "module_text",
    "vector_type",
]


class TextBuilder(Lines):
    """The operations on values, one instruction or intrinsic each."""

    __slots__ = ()

    def _intrinsic(self, name: str, *args: Val, flags: str = "") -> Val:
        """An intrinsic overloaded on the one type of its arguments and result."""
        type, lanes = args[0].type, args[0].lanes
        suffix = SUFFIX.get(type, type)
        name = f"llvm.{name}.{suffix}" if lanes == 1 else f"llvm.{name}.v{lanes}{suffix}"
        t = type if lanes == 1 else f"<{lanes} x {type}>"
        if name not in self._declared:
            self.declare(name, f"{t} @{name}({', '.join([t] * len(args))})")
        passed = ", ".join([f"{t} {a.text}" for a in args])
        return self.emit(f"call {flags}{t} @{name}({passed})", type, lanes)

    # Floating arithmetic

    def _binary(self, op: str, a: Val, b: Val) -> Val:
        type, lanes = a.type, a.lanes
        t = type if lanes == 1 else f"<{lanes} x {type}>"
        self._counter += 1
        name = f"%t{self._counter}"
        self.lines.append(f"  {name} = {op} {t} {a.text}, {b.text}")
        return Val(name, type, lanes)

    def fadd(self, a: Val, b: Val) -> Val:
        return self._binary("fadd", a, b)

    def fsub(self, a: Val, b: Val) -> Val:
        return self._binary("fsub", a, b)

    def fmul(self, a: Val, b: Val) -> Val:
        return self._binary("fmul", a, b)

    def fdiv(self, a: Val, b: Val) -> Val:
        return self._binary("fdiv", a, b)

    def frem(self, a: Val, b: Val) -> Val:
        """fmod of C; scalar library calls."""
        return self._binary("frem", a, b)

    def fneg(self, a: Val) -> Val:
        return self.emit(f"fneg {a.ir_type} {a.text}", a.type, a.lanes)

    def fma(self, a: Val, b: Val, c: Val) -> Val:
        """a*b + c: rounded once where the target has FMA, else twice."""
        return self._intrinsic("fma" if self.has_fma else "fmuladd", a, b, c)

    # With AVX-512 only, and for lanes that fill a vector register

    def scalef(self, a: Val, n: Val) -> Val:
        """a * 2^floor(n), rounded once."""
        return self._avx512("scalef", a, [a, n])

    def getexp(self, a: Val) -> Val:
        """floor(log2(|a|)) as a float: -inf for 0, inf for infinities; NaN stays."""
        return self._avx512("getexp", a, [a])

    def getmant(self, a: Val) -> Val:
        """a / 2^getexp(a), at least 1 and below 2: 1 for 0 and infinity, NaN for a < 0."""
        return self._avx512("getmant", a, [a, Val("8", "i32")])

    def getmant_of_abs(self, a: Val) -> Val:
        """The same of |a|."""
        return self._avx512("getmant", a, [a, Val("4", "i32")])

    def looked_up(self, number: Val, table: Sequence[float]) -> Val:
        """The float32 of a table of 32 that has this number, modulo 32; of 16 lanes."""
        assert (number.lanes, len(table)) == (16, 32)
        name, t = "llvm.x86.avx512.vpermi2var.ps.512", "<16 x float>"
        self.declare(name, f"{t} @{name}({t}, <16 x i32>, {t})")
        texts = [f"float {constant_text(one, 'float')}" for one in table]
        low, high = (f"{t} <{', '.join(half)}>" for half in (texts[:16], texts[16:]))
        return self.emit(f"call {t} @{name}({low}, <16 x i32> {number.text}, {high})", "float", 16)

    def _avx512(self, op: str, a: Val, args: Sequence[Val]) -> Val:
        """The intrinsic with all lanes; its last argument keeps the current rounding."""
        if BITS[a.type] * a.lanes > 512:  # register by register
            half = a.lanes // 2
            halves = [
                [self.shuffle(x, x, range(start, start + half)) if x.lanes > 1 else x for x in args]
                for start in (0, half)
            ]
            low, high = (self._avx512(op, one[0], one) for one in halves)
            return self.shuffle(low, high, range(a.lanes))
        bits, mask, t = BITS[a.type] * a.lanes, f"i{max(8, a.lanes)}", a.ir_type
        name = f"llvm.x86.avx512.mask.{op}.{'ps' if a.type == 'float' else 'pd'}.{bits}"
        args = [*args, Val("zeroinitializer", a.type, a.lanes), Val("-1", mask)]
        args += [Val("4", "i32")] if bits == 512 else []
        self.declare(name, f"{t} @{name}({', '.join(x.ir_type for x in args)})")
        passed = ", ".join(f"{x.ir_type} {x.text}" for x in args)
        return self.emit(f"call {t} @{name}({passed})", a.type, a.lanes)

    def shuffle(self, a: Val, b: Val, places: Sequence[int]) -> Val:
        """The lanes at these places of a, then b."""
        order = ", ".join(f"i32 {place}" for place in places)
        operands = f"{a.ir_type} {a.text}, {b.ir_type} {b.text}"
        text = f"shufflevector {operands}, <{len(places)} x i32> <{order}>"
        return self.emit(text, a.type, len(places))

    def fabs(self, a: Val) -> Val:
        return self._intrinsic("fabs", a)

    def sqrt(self, a: Val) -> Val:
        return self._intrinsic("sqrt", a)

    def copysign(self, magnitude: Val, sign: Val) -> Val:
        """A double by its bits: of the intrinsic LLVM would round to half at once, in a function
        that is not there."""
        if magnitude.type != "double":
            return self._intrinsic("copysign", magnitude, sign)
        bits = self.bitcast(sign, "i64")
        bits = self.and_(bits, self.const(-(1 << 63), bits))
        return self.bitcast(self.or_(self.bitcast(self.fabs(magnitude), "i64"), bits), "double")

    def floor(self, a: Val) -> Val:
        return self._intrinsic("floor", a)

    def ceil(self, a: Val) -> Val:
        return self._intrinsic("ceil", a)

    def ftrunc(self, a: Val) -> Val:
        """Round toward zero, staying a float (`trunc` narrows integers)."""
        return self._intrinsic("trunc", a)

    def roundeven(self, a: Val) -> Val:
        return self._intrinsic("roundeven", a)

    def minimum(self, a: Val, b: Val) -> Val:
        """The smaller; NaN where either is NaN; of 0.0 and -0.0 either."""
        return self._intrinsic("minimum", a, b, flags="nsz ")

    def maximum(self, a: Val, b: Val) -> Val:
        """The larger; NaN where either is NaN; of 0.0 and -0.0 either."""
        return self._intrinsic("maximum", a, b, flags="nsz ")

    # Integer arithmetic

    def add(self, a: Val, b: Val) -> Val:
        return self._binary("add", a, b)

    def sub(self, a: Val, b: Val) -> Val:
        return self._binary("sub", a, b)

    def mul(self, a: Val, b: Val) -> Val:
        return self._binary("mul", a, b)

    def sdiv(self, a: Val, b: Val) -> Val:
        """Toward zero. Division by 0, and of the smallest number by -1, stop the process."""
        return self._binary("sdiv", a, b)

    def udiv(self, a: Val, b: Val) -> Val:
        return self._binary("udiv", a, b)

    def and_(self, a: Val, b: Val) -> Val:
        return self._binary("and", a, b)

    def or_(self, a: Val, b: Val) -> Val:
        return self._binary("or", a, b)

    def xor(self, a: Val, b: Val) -> Val:
        return self._binary("xor", a, b)

    def not_(self, a: Val) -> Val:
        return self._binary("xor", a, self.const(-1 if a.type != "i1" else 1, a))

    def shl(self, a: Val, b: Val) -> Val:
        """A shift by the width of the type or more is poison."""
        return self._binary("shl", a, b)

    def lshr(self, a: Val, b: Val) -> Val:
        return self._binary("lshr", a, b)

    def ashr(self, a: Val, b: Val) -> Val:
        return self._binary("ashr", a, b)

    def smin(self, a: Val, b: Val) -> Val:
        return self._intrinsic("smin", a, b)

    def smax(self, a: Val, b: Val) -> Val:
        return self._intrinsic("smax", a, b)

    def umin(self, a: Val, b: Val) -> Val:
        return self._intrinsic("umin", a, b)

    def umax(self, a: Val, b: Val) -> Val:
        return self._intrinsic("umax", a, b)

    # Comparison and choice

    def fcmp(self, predicate: str, a: Val, b: Val) -> Val:
        """predicate: oeq ogt oge olt ole one ord, or ueq ... uno (true where either is NaN)."""
        return self.emit(f"fcmp {predicate} {a.ir_type} {a.text}, {b.text}", "i1", a.lanes)

    def icmp(self, predicate: str, a: Val, b: Val) -> Val:
        """predicate: eq ne sgt sge slt sle ugt uge ult ule."""
        return self.emit(f"icmp {predicate} {a.ir_type} {a.text}, {b.text}", "i1", a.lanes)

    def select(self, condition: Val, a: Val, b: Val) -> Val:
        """a where condition (i1, as many lanes, or one for all) is set, else b."""
        t = a.ir_type
        return self.emit(
            f"select {condition.ir_type} {condition.text}, {t} {a.text}, {t} {b.text}",
            a.type,
            a.lanes,
        )

    def any(self, mask: Val) -> Val:
        """Scalar i1: some lane of an i1 mask is set."""
        if mask.lanes == 1:
            return mask
        return self.call(f"llvm.vector.reduce.or.v{mask.lanes}i1", [mask], "i1")

    def branch_if_any(
        self, mask: Val, values: Sequence[Val], rare: Callable[[], Sequence[Val]]
    ) -> list[Val]:
        """Where any lane of mask is set, the values that `rare` emits and returns; else `values`.

        The rare code stands in a block of its own: nothing of it runs when no lane is set.
        """
        taken, joined = self.fresh_label("rare"), self.fresh_label("join")
        before = self.block_label
        self.branch_if(self.any(mask), taken, joined)
        self.block(taken)
        replaced = rare()
        after = self.block_label
        self.branch(joined)
        self.block(joined)
        return [
            self.phi([(value, before), (other, after)])
            for value, other in zip(values, replaced, strict=True)
        ]

    # Conversion: the type argument is that of the elements

    def _convert(self, op: str, a: Val, type: str) -> Val:
        target = type if a.lanes == 1 else f"<{a.lanes} x {type}>"
        return self.emit(f"{op} {a.ir_type} {a.text} to {target}", type, a.lanes)

    def bitcast(self, a: Val, type: str) -> Val:
        """The same bits as another type of equal width."""
        return self._convert("bitcast", a, type)

    def sext(self, a: Val, type: str) -> Val:
        return self._convert("sext", a, type)

    def zext(self, a: Val, type: str) -> Val:
        return self._convert("zext", a, type)

    def trunc(self, a: Val, type: str) -> Val:
        return self._convert("trunc", a, type)

    def fpext(self, a: Val, type: str) -> Val:
        return self._convert("fpext", a, type)

    def fptrunc(self, a: Val, type: str) -> Val:
        return self._convert("fptrunc", a, type)

    def sitofp(self, a: Val, type: str) -> Val:
        return self._convert("sitofp", a, type)

    def uitofp(self, a: Val, type: str) -> Val:
        return self._convert("uitofp", a, type)

    def fptosi(self, a: Val, type: str) -> Val:
        """Toward zero; NaN and values out of range give some integer, as a cast in numpy.

        The plain conversion would be poison there; `freeze` costs nothing, where
        llvm.fptosi.sat falls apart into scalar code on x86.
        """
        converted = self._convert("fptosi", a, type)
        return self.emit(f"freeze {converted.ir_type} {converted.text}", type, a.lanes)

    def fptoui(self, a: Val, type: str) -> Val:
        """As fptosi, to an unsigned integer."""
        converted = self._convert("fptoui", a, type)
        return self.emit(f"freeze {converted.ir_type} {converted.text}", type, a.lanes)
