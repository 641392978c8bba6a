"""Calls of functions that Numba compiled: all lanes of a vector at once, through memory."""

from collections.abc import Sequence

from graphc.backends.llvm.text import TextBuilder, Val
from graphc.dtypes import DType, is_bool
from graphc.scalar.foreign import Foreign


def emit_foreign(b: TextBuilder, op: Foreign, args: Sequence[Val]) -> Val:
    """The operation on arguments of equal lanes."""
    lanes = args[0].lanes
    held = [
        b.zext(arg, "i8") if is_bool(dtype) else arg
        for arg, dtype in zip(args, op.operands, strict=True)
    ]
    type = "i8" if is_bool(op.result) else _type(op.result)
    result = b.call(_helper(b, op, held, type), held, type, lanes)
    return b.icmp("ne", result, b.const(0, result)) if is_bool(op.result) else result


def _type(dtype: DType) -> str:
    return {"f4": "float", "f8": "double"}.get(dtype.str[1:], f"i{8 * dtype.itemsize}")


def _helper(b: TextBuilder, op: Foreign, args: Sequence[Val], type: str) -> str:
    """Define (once a module) a function of the vectors, which go to the stack and come back."""
    lanes = args[0].lanes
    name = f"graphc.{op}.{lanes}"
    result = type if lanes == 1 else f"<{lanes} x {type}>"
    pointers = ", ".join(["ptr"] * (len(args) + 1))
    b.declare(str(op), f"void @{op}({pointers}, i64)")
    given = ", ".join(f"{arg.ir_type} %x{n}" for n, arg in enumerate(args))
    rows = [f"define internal {result} @{name}({given}) noinline nounwind {{"]
    rows += [f"  %p{n} = alloca {arg.ir_type}" for n, arg in enumerate(args)]
    rows.append(f"  %out = alloca {result}")
    rows += [f"  store {arg.ir_type} %x{n}, ptr %p{n}" for n, arg in enumerate(args)]
    passed = ", ".join(f"ptr %p{n}" for n in range(len(args)))
    rows.append(f"  call void @{op}({passed}, ptr %out, i64 {lanes})")
    rows += [f"  %all = load {result}, ptr %out", f"  ret {result} %all", "}", ""]
    b.define(name, "\n".join(rows))
    return name
