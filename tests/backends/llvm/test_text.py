"""Every operation of the builder passes LLVM's own parser and verifier, at 1 and 8 lanes."""

import math
import struct

import llvmlite.binding as llvm
import pytest

from graphc.backends.llvm.text import (
    INT_OF,
    TextBuilder,
    Val,
    constant_text,
    module_text,
    vector_type,
)

FLOAT_BINARY = ["fadd", "fsub", "fmul", "fdiv", "frem", "copysign", "minimum", "maximum"]
FLOAT_UNARY = ["fneg", "fabs", "sqrt", "floor", "ceil", "ftrunc", "roundeven"]
INT_BINARY = [
    "add",
    "sub",
    "mul",
    "sdiv",
    "udiv",
    "and_",
    "or_",
    "xor",
    "shl",
    "lshr",
    "ashr",
    "smin",
    "smax",
    "umin",
    "umax",
]


def accepted(text: str) -> None:
    llvm.parse_assembly(text).verify()


def finish(b: TextBuilder, arguments: str) -> str:
    b.line("ret void")
    return module_text([b.function(f"define void @f({arguments})")])


@pytest.mark.parametrize("lanes", [1, 8])
@pytest.mark.parametrize("type", ["float", "double"])
def test_float_operations_are_valid(type: str, lanes: int) -> None:
    b = TextBuilder()
    t = vector_type(type, lanes)
    x, y = Val("%x", type, lanes), Val("%y", type, lanes)
    for name in FLOAT_BINARY:
        assert getattr(b, name)(x, y).ir_type == t
    for name in FLOAT_UNARY:
        assert getattr(b, name)(x).ir_type == t
    b.fma(x, y, b.const(-0.0, x))
    less = b.fcmp("olt", x, y)
    b.select(less, x, y)
    b.select(b.any(less), x, y)
    bits = b.bitcast(x, INT_OF[type])
    b.sitofp(bits, type)
    b.uitofp(bits, type)
    b.fptosi(x, "i32")
    b.fptoui(x, "i64")
    b.per_lane("sin" if type == "double" else "sinf", [x])
    b.store(b.load("%p", type, lanes), "%p")
    b.splat(b.lane(x, 0), lanes)
    accepted(finish(b, f"{t} %x, {t} %y, ptr %p"))


@pytest.mark.parametrize("lanes", [1, 8])
@pytest.mark.parametrize("type", ["i8", "i32", "i64"])
def test_integer_operations_are_valid(type: str, lanes: int) -> None:
    b = TextBuilder()
    t = vector_type(type, lanes)
    x, y = Val("%x", type, lanes), Val("%y", type, lanes)
    for name in INT_BINARY:
        assert getattr(b, name)(x, y).ir_type == t
    b.not_(b.icmp("slt", x, b.not_(y)))
    if type != "i64":
        b.trunc(b.zext(x, "i64"), type)
        b.sext(x, "i64")
    accepted(finish(b, f"{t} %x, {t} %y"))


def test_rare_block_joins_with_a_phi() -> None:
    b = TextBuilder()
    x = Val("%x", "float", 4)
    mask = b.fcmp("ogt", x, b.const(1.0, x))
    (result,) = b.branch_if_any(mask, [x], lambda: [b.fneg(x)])
    b.store(result, "%p")
    assert b.block_label.startswith("join")
    accepted(finish(b, "<4 x float> %x, ptr %p"))


def test_fma_becomes_fmuladd_without_the_instruction() -> None:
    b = TextBuilder(has_fma=False)
    x = Val("%x", "float")
    b.fma(x, x, x)
    assert b.lines == ["  %t1 = call float @llvm.fmuladd.f32(float %x, float %x, float %x)"]


def test_constants_keep_sign_of_zero_and_round_to_the_type() -> None:
    b = TextBuilder()
    assert b.constant(0.0, "float").text == "0x0000000000000000"
    assert b.constant(-0.0, "float").text == "0x8000000000000000"
    assert b.constant(1.5, "float", 8).text == "splat (float 0x3FF8000000000000)"
    rounded = struct.unpack("<f", struct.pack("<f", 0.1))[0]
    assert constant_text(0.1, "float") == constant_text(rounded, "double")
    assert constant_text(1e300, "float") == constant_text(math.inf, "double")
    assert constant_text(0xFFFFFFFF, "i32") == "-1"
    assert constant_text(1, "i1") == "true"
