"""Windows that slide over the spatial axes of a tensor: arguments, padding and how many there are.

Along an axis of size n, with `before` and `after` entries of padding:

    span = dilation * (kernel - 1) + 1
    out  = floor((n + before + after - span) / stride) + 1
    out  = ceil(n / stride)                                   for padding "same"

"same" pads as little as that needs; an odd entry goes behind.
"""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from graphc.errors import ShapeError
from graphc.ir.opdef import Inference
from graphc.ir.source import current_source
from graphc.records import dataclass
from graphc.shapes import (
    Shape,
    Size,
    as_size,
    ceil_div,
    dim_max,
    floor_div,
    lower_bound,
    whole_number,
)

Pairs = tuple[tuple[Size, Size], ...]
Padding = Literal["same"] | Pairs

MOST = 2**62  # of a stride or a dilation: no array is so long
LAYOUTS = {
    **dict.fromkeys(("NCW", "NCHW", "NCDHW"), False),
    **dict.fromkeys(("NWC", "NHWC", "NDHWC"), True),
}


@dataclass(frozen=True, slots=True)
class Windows:
    """How windows lie: one entry per spatial axis."""

    kernel: Shape
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    padding: Padding

    def span(self, axis: int) -> Size:
        """How many entries a window covers, gaps included."""
        return self.dilation[axis] * (self.kernel[axis] - 1) + 1

    def pairs(self, sizes: Shape) -> Pairs:
        """The padding before and after each axis."""
        if not isinstance(self.padding, str):
            return self.padding
        found = []
        for axis, size in enumerate(sizes):
            # An axis of stride 1 has as many windows as entries.
            stride, span = self.stride[axis], self.span(axis)
            total = span - 1
            if stride > 1:
                total = dim_max((ceil_div(size, stride) - 1) * stride + span - size, 0)
            before = floor_div(total, 2)
            found.append((before, floor_div(total + 1, 2)))
        return tuple(found)

    def padded(self, sizes: Shape) -> Shape:
        return tuple(
            size + before + after
            for size, (before, after) in zip(sizes, self.pairs(sizes), strict=True)
        )

    def count(self, sizes: Shape) -> Shape:
        """How many windows there are along each axis of these sizes."""
        if self.padding == "same":
            return tuple(
                ceil_div(size, stride) for size, stride in zip(sizes, self.stride, strict=True)
            )
        return tuple(
            floor_div(size - self.span(axis), self.stride[axis]) + 1
            for axis, size in enumerate(self.padded(sizes))
        )

    def check_kernel(self, call: Inference) -> None:
        """No window is empty, now or at the call."""
        for axis, kernel in enumerate(self.kernel):
            text = f"the kernel is empty along spatial axis {axis}"
            call.require_equal(dim_max(kernel, 1), kernel, text)

    def check(self, call: Inference, sizes: Shape) -> Shape:
        """The number of windows; at least one must fit, now or at the call."""
        self.check_kernel(call)
        if self.padding == "same":
            return self.count(sizes)
        for axis, size in enumerate(self.padded(sizes)):
            span = self.span(axis)
            pair = self.pairs(sizes)[axis]
            text = self.text(axis, sizes[axis], pair)
            if isinstance(size, int) and isinstance(span, int) and size < span:
                raise ShapeError(
                    f"{call.op}: the window is larger than what it slides over",
                    details=[text],
                    fix='make the window smaller, or pad: padding="same"',
                )
            call.require_equal(dim_max(size, span), size, f"no window fits: {text}")
        return self.count(sizes)

    def text(self, axis: int, size: Size, pair: tuple[Size, Size]) -> str:
        """The formula with its numbers."""
        kernel, dilation = self.kernel[axis], self.dilation[axis]
        return (
            f"spatial axis {axis}: floor((size + before + after - dilation*(kernel - 1) - 1)/"
            f"stride) + 1 = floor(({size} + {pair[0]} + {pair[1]} - {dilation}*({kernel} - 1) - 1)/"
            f"{self.stride[axis]}) + 1"
        )


# --- arguments -------------------------------------------------------------------------------


def _wrong(name: str, what: str, fix: str) -> ShapeError:
    return ShapeError(f"{name}: {what}", source=current_source(), fix=fix)


def spatial_rank(name: str, rank: int, given: str) -> int:
    """How many spatial axes a tensor of `rank` axes has."""
    if not 3 <= rank <= 5:
        raise _wrong(
            name,
            f"x has {rank} axes: {given}",
            "x needs a batch axis, a channel axis and 1 to 3 spatial axes, as `layout` says",
        )
    return rank - 2


def channels_last(name: str, layout: str | None, spatial: int) -> bool:
    """What a layout such as "NHWC" says; None: channels come first."""
    if layout is None:
        return False
    known = [text for text in LAYOUTS if len(text) == spatial + 2]
    if not isinstance(layout, str) or layout not in known:
        raise _wrong(
            name,
            f"layout {layout!r:.60} is not one of x with {spatial} spatial axes",
            " or ".join(known),
        )
    return LAYOUTS[layout]


def _listed(value: Any) -> tuple[Any, ...] | None:
    """The items of a list, tuple or array; None for a single value."""
    if isinstance(value, np.ndarray) and value.ndim:
        return tuple(value.tolist())
    if isinstance(value, Sequence) and not isinstance(value, str | bytes | bytearray):
        return tuple(value)
    return None


def numbers(name: str, what: str, value: Any, spatial: int, least: int = 1) -> tuple[int, ...]:
    """One whole number for each spatial axis, from one for all or from a sequence."""
    given = _listed(value)
    found = (value,) * spatial if given is None else given * (spatial if len(given) == 1 else 1)
    whole = tuple(number for item in found if (number := whole_number(item)) is not None)
    if len(found) != spatial or len(whole) != spatial or any(not least <= n <= MOST for n in whole):
        raise _wrong(
            name,
            f"{what}={value!r:.60}",
            f"give a whole number >= {least}, or {spatial} of them, one for each spatial axis",
        )
    return whole


def window_sizes(name: str, what: str, value: Any, spatial: int) -> Shape:
    """One size >= 1 for each spatial axis; sizes may be symbolic."""
    given = _listed(value)
    found = (value,) * spatial if given is None else given * (spatial if len(given) == 1 else 1)
    try:
        sizes = tuple(as_size(item) for item in found)
    except ShapeError:
        sizes = ()
    if len(sizes) != spatial or any(isinstance(size, int) and size < 1 for size in sizes):
        raise _wrong(
            name,
            f"{what}={value!r:.60}",
            f"give a size >= 1, or {spatial} of them, one for each spatial axis",
        )
    return sizes


def checked_padding(name: str, padding: Any, spatial: int) -> Padding:
    """ "valid", "same", one width, a width for each axis, or a pair (before, after) for each."""
    fix = (
        f'"valid", "same", a width >= 0, {spatial} widths, or {spatial} pairs (before, after), '
        "one for each spatial axis"
    )
    if isinstance(padding, str):
        if padding.lower() == "same":
            return "same"
        if padding.lower() == "valid":
            return ((0, 0),) * spatial
        raise _wrong(name, f"padding={padding!r} is not known", fix)
    several = _listed(padding)
    given = (padding,) * spatial if several is None else several
    pairs: list[tuple[Size, Size]] = []
    for item in given:
        pair = _listed(item) or (item, item)
        try:
            sizes = tuple(as_size(width) for width in pair)
        except ShapeError:
            sizes = ()
        if len(sizes) != 2 or any(_may_be_negative(width) for width in sizes):
            raise _wrong(name, f"padding={padding!r:.60}", fix)
        pairs.append((sizes[0], sizes[1]))
    if len(pairs) != spatial:
        raise _wrong(name, f"padding={padding!r} is for {len(pairs)} spatial axes", fix)
    return tuple(pairs)


def _may_be_negative(width: Size) -> bool:
    least = lower_bound(width)
    return least is None or least < 0
