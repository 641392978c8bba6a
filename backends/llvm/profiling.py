"""Clocks in native code: how long each step of a program takes, for `Function.profile`.

A profiled entry reads the clock after every step and adds what has passed since the last reading to
that step's slot, so the slots add up to the whole and a loop counts what its body's steps do not.
"""

import time

from graphc.backends.llvm.text import FunctionText

LAPS = "graphc_laps"  # nanoseconds and calls of each step, then of the way to the first one
_LAP = "graphc_lap"


def words(steps: int) -> int:
    """In the memory behind LAPS."""
    return 2 * steps + 2


def lap(step: int) -> str:
    """The line that ends the time of a step."""
    return f"call void @{_LAP}(i64 {step})"


def lap_function(steps: int, attributes: str) -> FunctionText:
    """The routine that lines of `lap` call, with its memory. steps: of the program."""
    lines = [
        f"@{LAPS} = global [{words(steps)} x i64] zeroinitializer, align 8",
        "@graphc_last = internal global i64 0, align 8",
        f"define internal void @{_LAP}(i64 %step) {attributes} {{",
        "  %now = alloca [2 x i64], align 8",
        f"  call i32 @clock_gettime(i32 {time.CLOCK_MONOTONIC}, ptr %now)",
        "  %seconds = load i64, ptr %now, align 8",
        "  %rest.at = getelementptr i64, ptr %now, i64 1",
        "  %rest = load i64, ptr %rest.at, align 8",
        "  %whole = mul i64 %seconds, 1000000000",
        "  %time = add i64 %whole, %rest",
        "  %last = load i64, ptr @graphc_last, align 8",
        "  %passed = sub i64 %time, %last",
        "  store i64 %time, ptr @graphc_last, align 8",
        "  %place = mul i64 %step, 2",
        f"  %total.at = getelementptr i64, ptr @{LAPS}, i64 %place",
        "  %total = load i64, ptr %total.at, align 8",
        "  %more = add i64 %total, %passed",
        "  store i64 %more, ptr %total.at, align 8",
        "  %calls.at = getelementptr i64, ptr %total.at, i64 1",
        "  %calls = load i64, ptr %calls.at, align 8",
        "  %another = add i64 %calls, 1",
        "  store i64 %another, ptr %calls.at, align 8",
        "  ret void",
        "}",
    ]
    declarations = {"declare i32 @clock_gettime(i32, ptr)"}
    return FunctionText("\n".join(lines) + "\n", declarations, {}, plain=True)
