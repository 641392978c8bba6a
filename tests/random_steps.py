"""More of what random graphs are made of: orders, integers, loops, windows, complex parts.

Each step picks operands from a grower (see `tests.random_graphs`) and adds a value, or gives up.
What depends on the order of numbers or cuts off digits is applied to exact values alone.
"""

from typing import Any

from hypothesis import strategies as st

import graphc as gc

INTEGERS = ("int8", "int16", "int32", "uint8", "uint16", "uint32")


def _tame(x: Any) -> Any:
    """Numbers of size up to 40, as everywhere in these graphs."""
    return gc.clip(x, -40, 40) if x.dtype.kind == "i" else x


def order(grower: Any) -> Any:
    """Sorting, positions, and what is along an axis."""
    value = grower.pick(lambda v: v.ndim > 0 and v.exact and v.kind in "fi")
    if value is None:
        return None
    x, axis = value.tensor, grower.draw(st.integers(0, value.ndim - 1))
    size = value.shape[axis]
    way = grower.draw(st.integers(0, 6))
    if way == 0:
        return grower.add(gc.argsort(x, axis=axis, descending=grower.draw(st.booleans())), True)
    if way == 1:
        return grower.add(gc.sort(x, axis=axis, descending=grower.draw(st.booleans())), True)
    if way == 2:
        name = grower.draw(st.sampled_from(("cumulative_max", "cumulative_min")))
        return grower.add(getattr(gc, name)(x, axis=axis, reverse=grower.draw(st.booleans())), True)
    if way == 3 and size:
        positions = gc.argsort(x, axis=axis)
        return grower.add(gc.take_along_axis(x, positions, axis=axis), True)
    if way == 4 and size >= 2:
        values, positions = gc.top_k(x, 2, axis=axis, largest=grower.draw(st.booleans()))
        grower.values.append(grower.add(positions, True))
        return grower.add(values, True)
    if way == 5 and value.ndim == 1:
        side = grower.draw(st.sampled_from(("left", "right")))
        return grower.add(gc.searchsorted(gc.sort(x), x, side=side), True)
    if way == 6 and size >= 2:
        return grower.add(gc.diff(x, axis=axis), value.exact and value.kind == "i")
    return None


def integers(grower: Any) -> Any:
    """Arithmetic and bits of integers, of every width."""
    value = grower.pick(lambda v: v.exact and v.kind in "iu")
    if value is None:
        return None
    x = value.tensor
    way = grower.draw(st.integers(0, 5))
    if way == 0:
        dtype = grower.draw(st.sampled_from(INTEGERS))
        narrow = gc.astype(gc.abs(x) % 41, dtype)
        found = narrow * narrow + gc.astype(3, dtype)  # wraps around in the small ones
        return grower.add(gc.clip(gc.astype(found, "int64"), -40, 40), True)
    divisor = gc.abs(x) % 5 + 1
    if way == 1:
        op = grower.draw(st.sampled_from((gc.floor_divide, gc.remainder)))
        return grower.add(op(x, -divisor if grower.draw(st.booleans()) else divisor), True)
    if way == 2:
        op = grower.draw(st.sampled_from((gc.bitwise_and, gc.bitwise_or, gc.bitwise_xor)))
        return grower.add(_tame(op(x, divisor)), True)
    if way == 3:
        op = grower.draw(st.sampled_from((gc.bitwise_left_shift, gc.bitwise_right_shift)))
        return grower.add(_tame(op(x, divisor)), True)
    if way == 4 and value.ndim:
        axis = grower.draw(st.integers(0, value.ndim - 1))
        op = grower.draw(st.sampled_from((gc.cumulative_sum, gc.cumulative_prod)))
        return grower.add(_tame(op(gc.clip(x, -2, 2), axis=axis)), True)
    return grower.add(_tame(gc.prod(gc.clip(x, -2, 2), axis=grower.axes(value))), True)


def rounding(grower: Any) -> Any:
    value = grower.pick(lambda v: v.exact and v.kind == "f")
    if value is None:
        return None
    op = grower.draw(st.sampled_from((gc.floor, gc.ceil, gc.trunc, gc.round, gc.sign)))
    return grower.add(op(value.tensor), True)


def sums_of_products(grower: Any) -> Any:
    value = grower.pick(lambda v: v.kind == "f" and 0 < v.ndim <= 3)
    if value is None:
        return None
    x = gc.tanh(value.tensor)
    ways = {
        1: ("i,j->ij", "i,i->", "i,j->j"),
        2: ("ij,kj->ik", "ij,ij->j", "ij,ik->kj", "ij,kl->jk"),
        3: ("ijk,ljk->il", "ijk,ijl->kl", "ijk,ijk->ik"),
    }
    return grower.add(gc.einsum(grower.draw(st.sampled_from(ways[value.ndim])), x, x), False)


def branches(grower: Any) -> Any:
    """cond and switch, whose predicates are exact."""
    value = grower.pick(lambda v: v.kind == "f")
    chooser = grower.pick(lambda v: v.exact and v.kind in "bi" and 0 not in v.shape)
    if value is None or chooser is None:
        return None
    x, first = value.tensor, chooser.tensor[(0,) * chooser.ndim]
    if chooser.kind == "b":
        found = gc.cond(first, lambda a: gc.sin(a) + x, lambda a: a * 0.5, x)
    else:
        found = gc.switch(first, [lambda a: -a, gc.tanh, lambda a: gc.cos(a) * x], x)
    return grower.add(found, False)


def loops(grower: Any) -> Any:
    value = grower.pick(lambda v: v.kind == "f" and v.count <= 40)
    count = grower.pick(lambda v: v.exact and v.kind == "i" and 0 not in v.shape)
    if value is None:
        return None
    x = value.tensor
    if count is None or grower.draw(st.booleans()):
        steps = grower.draw(st.sampled_from((0, 1, 3)))
        return grower.add(gc.fori_loop(0, steps, lambda i, a: gc.sin(a + x) * 0.7, x), False)
    limit = gc.abs(count.tensor[(0,) * count.ndim]) % 4

    def step(carry: Any) -> Any:
        number, a = carry
        return number + 1, gc.tanh(a) * 0.9 + x * 0.1

    start = (gc.zeros((), limit.dtype), x)
    _, found = gc.while_loop(lambda carry: carry[0] < limit, step, start)
    return grower.add(found, False)


def windows(grower: Any) -> Any:
    """Convolution and pooling of the last axis."""
    value = grower.pick(lambda v: v.kind == "f" and v.ndim > 0 and v.shape[-1] >= 3 and v.count > 0)
    if value is None:
        return None
    x = gc.reshape(gc.tanh(value.tensor), (-1, 1, value.tensor.shape[-1]))
    way = grower.draw(st.integers(0, 3))
    if way == 0:
        kernel = gc.constant(grower.rng.integers(-3, 4, (2, 1, 3)) / 4, value.tensor.dtype)
        padding = grower.draw(st.sampled_from(("valid", "same")))
        stride = grower.draw(st.sampled_from((1, 2)))
        return grower.add(gc.nn.conv(x, kernel, stride=stride, padding=padding), False)
    if way == 1:
        if not value.exact:
            return None
        exact = gc.reshape(value.tensor, x.shape)
        return grower.add(gc.nn.max_pool(exact, 2, stride=1), True)
    if way == 2:
        return grower.add(gc.nn.average_pool(x, 3, stride=2), False)
    return grower.add(gc.sliding_windows(value.tensor, 2, axis=-1), value.exact)


def complex_parts(grower: Any) -> Any:
    """Through complex numbers and back."""
    value = grower.pick(lambda v: v.kind == "f" and v.ndim > 0 and v.shape[-1] > 0)
    if value is None:
        return None
    x = gc.tanh(value.tensor)
    z = gc.complex(x, gc.cos(value.tensor))
    way = grower.draw(st.integers(0, 3))
    if way == 0:
        z = z * z.conj() + gc.exp(z)
    elif way == 1:
        z = gc.fft.fft(z) / x.shape[-1]
    elif way == 2:
        z = gc.sum(z * z, axis=-1, keepdims=True) / (gc.abs(z) + 1.0)
    else:
        z = gc.fft.rfft(x) * 0.5
    part = grower.draw(st.sampled_from((gc.real, gc.imag, gc.abs)))
    return grower.add(part(z), False)


def places(grower: Any) -> Any:
    """Entries read and written by integer arrays and by slices."""
    value = grower.pick(lambda v: v.ndim > 0 and v.kind in "fi" and v.shape[0] > 1)
    if value is None:
        return None
    x, size = value.tensor, value.shape[0]
    some = gc.constant(grower.rng.permutation(size)[:2])
    way = grower.draw(st.integers(0, 3))
    if way == 0:
        return grower.add(x.at[some].set(x[:2] * 0), value.exact)
    if way == 1 and value.exact:
        place = x.at[gc.constant(grower.rng.integers(-size, size, 3))]
        change = grower.draw(st.sampled_from(("max", "min")))
        return grower.add(getattr(place, change)(x[0]), True)
    if way == 2:
        return grower.add(x.at[::2].set(x[1]), value.exact)
    if value.ndim > 1 and value.shape[1] > 1:
        other = gc.constant(grower.rng.permutation(value.shape[1])[:2])
        return grower.add(x[some, other], value.exact)
    return None


def equations(grower: Any) -> Any:
    """A well-conditioned system."""
    value = grower.pick(
        lambda v: v.kind == "f" and v.ndim >= 2 and v.tensor.shape[-1] == v.tensor.shape[-2]
    )
    if value is None or value.shape[-1] == 0:
        return None
    x = gc.tanh(value.tensor)
    size = value.tensor.shape[-1]
    matrix = x + gc.eye(size, dtype=x.dtype) * (value.shape[-1] + 2.0)
    if grower.draw(st.booleans()):
        return grower.add(gc.linalg.solve(matrix, x), False)
    return grower.add(gc.linalg.slogdet(matrix)[1], False)


def examples(grower: Any) -> Any:
    """A function of one row, for all rows."""
    value = grower.pick(lambda v: v.kind == "f" and v.ndim >= 2 and 0 not in v.shape)
    if value is None:
        return None

    def row(x: Any) -> Any:
        centred = x - gc.mean(x)
        return centred * gc.sin(gc.sum(centred * x))

    return grower.add(gc.vmap(row)(value.tensor), False)


def two_arguments(grower: Any) -> Any:
    value = grower.pick(lambda v: v.kind == "f")
    if value is None:
        return None
    x = value.tensor
    ways = (
        lambda: gc.hypot(x, gc.cos(x)),
        lambda: gc.atan2(gc.sin(x), gc.abs(x) + 1.0),
        lambda: gc.logaddexp(x, -x),
        lambda: (gc.abs(x) + 0.5) ** 1.5,
        lambda: gc.std(gc.stack([x, gc.sin(x), x * 0.5 + 1.0]), axis=0),
        lambda: gc.erfc(x) - gc.gammaln(gc.abs(x) + 1.0),
    )
    return grower.add(grower.draw(st.sampled_from(ways))(), False)


STEPS = (
    *(order, integers, places) * 2,
    *(rounding, sums_of_products, branches, loops, windows, complex_parts),
    *(equations, examples, two_arguments),
)
