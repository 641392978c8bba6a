"""Matrix products of our own: packed panels, tiles in registers, blocks in the caches.

    void @product(ptr out, ptr a, ptr b, i64 m, i64 n, i64 k, i64 out.row, i64 a.row, i64 b.row,
                  ptr area, i64 stride, i64 threads)
    void @product.followed(the same, ptr epilogue, ptr frame, i1 splits, ptr finish,
                           i64 base)

out = a' @ b', a' = a or its transpose. Elements of a row lie side by side; out.row, a.row and
b.row are the distances in elements from row to row. Four loops around the tile:

    chunks of the result, rows by columns             independent of each other (@rows), so that
                                                      threads share them (parallel.py)
      k in equal steps of at most `STEP`              rows of a stay in the second cache
        panels: some columns of b, packed             one stays near, in the first cache or the
                                                      second; the next one is fetched meanwhile
          tiles, one below the other                  (@tiles, @tile)

Few elements with long sums are cut along k instead (gemm_split.py).

What is done is handed to the epilogue, if there is one (`epilogues`), whose own area lies behind
that of the thread. base: the number of the first row among those that the epilogue knows. finish:
null, or a tile that does what the epilogue does itself (gemm_finish.py).

A chunk writes its own part of `out` and nothing else. How the result is cut into chunks depends on
the number of threads; how an element is summed does not: k is cut in the same steps everywhere.
Rows of a that lie side by side are read where they are, if they are near each other; else each
chunk copies what it needs into the area, `stride` bytes of it for each thread. Narrow operands are
widened as they are copied, or, where the processor multiplies pairs of them, two neighbours along k
are one element of a tile, or four.
"""

from dataclasses import replace

from graphc.backends.llvm.gemm_chunks import (
    GRID,
    NONE,
    ROOM,
    ROWS_PARAMETERS,
    SHAPE,
    epilogue_call,
    most_columns,
    most_rows,
    room_bytes,
)
from graphc.backends.llvm.gemm_cover import slim_tile, tiles_of
from graphc.backends.llvm.gemm_few import few_function, pack_few_function
from graphc.backends.llvm.gemm_layout import Arithmetic, Layout, Names
from graphc.backends.llvm.gemm_pack import pack_function
from graphc.backends.llvm.gemm_rows import rows_function
from graphc.backends.llvm.gemm_split import PARTIAL, chunk_length, split_functions, split_name
from graphc.backends.llvm.gemm_tile import Tile, tile_function
from graphc.backends.llvm.gemm_tiles import tiles_function
from graphc.backends.llvm.gemm_turned import store_columns
from graphc.backends.llvm.gemm_vector import call_vector, vector_functions
from graphc.backends.llvm.gemm_widen import widen_function
from graphc.backends.llvm.one_thread import SHARED
from graphc.backends.llvm.parallel import (
    AREA,
    BEGIN,
    END,
    RANGE,
    STRIDE,
    THREADS,
    Range,
    divide,
    loads,
)
from graphc.backends.llvm.pool import LITTLE
from graphc.backends.llvm.scopes import Code
from graphc.backends.llvm.target import Target
from graphc.backends.llvm.text import FunctionText, TextBuilder, Val

DIRECT_TILES = 3  # up to which b is read where it is
WIDE = 256  # columns from which rows of a are copied that lie far apart in memory
FAR = 2048  # bytes
PANELS = 16  # of a block of the result, up to which rows of a are not copied: too few read them
NARROW_PANELS = 2  # up to which columns of a are read where they are
NEAR = 256  # bytes from row to row of a, up to which a few of its columns are read where they are
SHARE = 2  # chunks for each thread; one, where there is little to do
LEAST_TILES, LEAST_PANELS = 4, 4  # of a chunk
KEPT = 1 << 20  # bytes of the result in a chunk that an epilogue follows
EPILOGUE, FRAME, SPLITS = Val("%epilogue", "ptr"), Val("%held", "ptr"), Val("%splits", "i1")
FINISH, BASE = Val("%finish", "ptr"), Val("%base", "i64")
FOLLOWERS = (EPILOGUE, FRAME, SPLITS, FINISH, BASE)
MATRICES = tuple(Val(f"%{name}", "ptr") for name in ("out", "a", "b"))
SIZES = SHAPE[:3]
ROWS = tuple(Val(f"%{name}", "i64") for name in ("out.stride", "a.stride", "b.stride"))  # elements
PRODUCT_PARAMETERS = (*MATRICES, *SIZES, *ROWS, AREA, STRIDE, THREADS)
FOLLOWED_PARAMETERS = (*PRODUCT_PARAMETERS, *FOLLOWERS)
NOT_FOLLOWED = (NONE, NONE, Val("true", "i1"), NONE, Val("0", "i64"))


def area_bytes(layout: Layout, target: Target) -> int:
    """What each thread needs for one product."""
    return room_bytes(layout.tile(target))


def functions_of(layout: Layout, target: Target) -> dict[str, FunctionText]:
    """Every routine that the product needs, by name; those of different layouts overlap."""
    tile = layout.tile(target)
    assert room_bytes(tile) >= PARTIAL  # at its end lie the sums of chunks, or the transpose
    if layout.turned:
        found = functions_of(replace(layout, turned=False), target)
        found[f"{layout.name}.followed"] = _turned_function(layout, tile, target)
        found[layout.name] = _plain_function(layout, target)
        return found
    names = Names(layout)
    pack = pack_function(names.pack_b, "b", tile, target, across=layout.transpose_b)
    found = {
        **{name: tile_function(name, one, target) for name, one in tiles_of(names, tile).items()},
        names.tiles: tiles_function(layout, tile, target),
        names.pack_b: pack,
        f"{names.rows}.range": rows_function(layout, tile, target),
    }
    if layout.transpose_a:
        found[names.pack_a] = pack_function(names.pack_a, "a", tile, target, across=False)
    elif tile.narrow is not None and not tile.reads_rows:
        found[names.widen] = widen_function(names.widen, tile, target)
    if layout.slim:
        found[names.pack_slim] = pack_function(
            names.pack_slim, "b", slim_tile(tile), target, across=layout.transpose_b
        )
    if layout.few:
        found[names.few] = few_function(names.few, tile, target)
        if not layout.transpose_b:
            found[names.pack_few] = pack_few_function(names.pack_few, tile, target, across=False)
    if layout.long:
        found.update(split_functions(layout, tile, target))
    if layout.vectors:
        found.update(vector_functions(layout, tile, target))
    if layout.divides:
        found[names.rows] = _dividing_rows(names.rows, tile, target)
    found[f"{layout.name}.followed"] = _product_function(layout, tile, target)
    found[layout.name] = _plain_function(layout, target)
    return found


def _dividing_rows(name: str, tile: Tile, target: Target) -> FunctionText:
    """@rows, which has threads share what @rows.range does, through @rows.task."""
    words = (*ROWS_PARAMETERS, AREA, STRIDE)
    x = Arithmetic(Code(has_fma=True))
    builder = x.code.builder
    builder.line(f"%frame = alloca [{len(words)} x i64], align 16")
    work = _work(x, tile)
    divide(builder, f"{name}.task", "%frame", words, Range(GRID[-1], work), THREADS)
    builder.line("ret void")
    whole = x.function(name, (*words, THREADS), target)
    inner = TextBuilder()
    inner.lines += loads(words)
    passed = ", ".join(f"{v.type} {v.text}" for v in (*ROWS_PARAMETERS, ROOM, BEGIN, END))
    inner.line(f"call void @{name}.range({passed})")
    inner.line("ret void")
    signature = f"define internal void @{name}.task{RANGE} {target.function_attributes}"
    task = inner.function(signature)
    declarations = whole.declarations | task.declarations
    return FunctionText(f"{whole.text}\n{task.text}", declarations, whole.definitions, plain=True)


def _work(x: Arithmetic, tile: Tile) -> Val:
    """A multiplication and addition is 2 units."""
    m, n, k = SIZES
    return x.mul(x.mul(x.mul(m, n), k), tile.bytes // 2)


def _turned_function(layout: Layout, tile: Tile, target: Target) -> FunctionText:
    """The product of exchanged operands, whose rows become columns of the result; the epilogue."""
    x = Arithmetic(Code(has_fma=target.has_fma))
    (out, a, b), (m, n, k), (out_row, a_row, b_row) = MATRICES, SIZES, ROWS
    transpose = x.at(AREA, x.const(room_bytes(tile) - PARTIAL))
    passed = (transpose, b, a, n, m, k, m, b_row, a_row, AREA, STRIDE, THREADS)
    x.call(replace(layout, turned=False).name, passed)
    store_columns(x, tile, transpose, (out, out_row), (m, n))
    _follow(x, tile)
    x.code.builder.line("ret void")
    return x.function(f"{layout.name}.followed", FOLLOWED_PARAMETERS, target, plain=False)


def _product_function(layout: Layout, tile: Tile, target: Target) -> FunctionText:
    x = Arithmetic(Code(has_fma=target.has_fma))
    code, names, builder = x.code, Names(layout), x.code.builder
    m, n, _ = SIZES
    sizes = (tile.bytes, tile.read_bytes, tile.read_bytes)
    strides = [x.mul(stride, size) for stride, size in zip(ROWS, sizes, strict=True)]
    zero, one = x.const(0), x.const(1)
    if layout.transpose_b or tile.narrow is not None:
        direct = Val("false", "i1")
    else:
        direct = x.compare("sle", m, x.const(DIRECT_TILES * tile.rows))
    if layout.transpose_a:
        wide = x.compare("sgt", n, x.const(NARROW_PANELS * tile.columns))
        copy = builder.and_(wide, x.compare("sge", strides[1], x.const(NEAR)))
        copy = copy if tile.narrow is None else Val("true", "i1")
    elif not tile.reads_rows:
        copy = Val("true", "i1")
    else:
        many = Val(str(most_columns(tile) > PANELS * tile.columns).lower(), "i1")
        wide, far = x.compare("sge", n, x.const(WIDE)), x.compare("sge", strides[1], x.const(FAR))
        copy = builder.and_(many, builder.and_(wide, far))
        if tile.together > 1:
            rest = x.code.operation("and", SIZES[2], x.const(tile.together - 1))
            copy = builder.or_(copy, x.compare("ne", rest, zero))

    def all_chunks() -> list[Val]:
        grid = _grid(x, layout, tile)
        followed = (SPLITS, EPILOGUE, FRAME, FINISH, BASE)
        given = (*MATRICES, *SIZES, *strides, *grid, direct, copy, *followed)
        if layout.divides:
            x.call(names.rows, (*given, AREA, STRIDE, THREADS))
        else:
            x.call(f"{names.rows}.range", (*given, AREA, zero, grid[-1]))
        return []

    rows, empty = x.compare("sgt", m, zero), x.compare("sle", n, zero)
    some = builder.and_(rows, x.compare("sgt", n, zero))
    if layout.vectors:
        column, row = builder.icmp("eq", n, one), builder.icmp("eq", m, one)
        vector = builder.or_(column, row)
        matrix = builder.not_(vector)
        some, empty = builder.and_(some, matrix), builder.and_(empty, matrix)

        def one_vector() -> list[Val]:
            call_vector(x, layout, MATRICES, SIZES, ROWS, AREA, THREADS)
            _follow(x, tile)
            return []

        code.branch(vector, [], one_vector)
    if layout.long:
        length = chunk_length(x, tile)
        chunks = x.ceil_div(SIZES[2], length)
        is_long = builder.and_(some, x.compare("sgt", chunks, one))

        def long_sums() -> list[Val]:
            given = (*MATRICES, *SIZES, *strides, direct, copy, length, chunks)
            x.call(split_name(layout), (*given, AREA, STRIDE, THREADS))
            _follow(x, tile)
            return []

        code.branch(is_long, [], long_sums)
        some = builder.and_(some, builder.not_(is_long))
    code.branch(some, [], all_chunks)

    def without_columns() -> list[Val]:
        _follow(x, tile)
        return []

    code.branch(empty, [], without_columns)
    builder.line("ret void")
    return x.function(f"{layout.name}.followed", FOLLOWED_PARAMETERS, target)


def _grid(x: Arithmetic, layout: Layout, tile: Tile) -> tuple[Val, Val, Val, Val]:
    """Rows and columns of a chunk, chunks one below the other, and chunks altogether.

    As few as fit the caches, and some for each thread where there is work for several.
    """
    (m, n, _), one = SIZES, x.const(1)

    def most(a: Val, b: Val) -> Val:
        return x.extremum("smax", a, b)

    def least(a: Val, b: Val) -> Val:
        return x.extremum("smin", a, b)

    alone = x.compare("eq", FINISH, NONE)
    followed = x.code.builder.and_(x.compare("ne", EPILOGUE, NONE), alone)
    whole = x.code.builder.and_(followed, x.compare("eq", SPLITS, Val("false", "i1")))
    height, width = x.const(most_rows(tile)), x.const(most_columns(tile))
    kept_width = x.mul(most(x.choose(whole, n, least(n, width)), one), tile.bytes)
    kept = x.code.operation("udiv", x.const(KEPT), kept_width)
    kept = least(most(kept, x.const(LEAST_TILES * tile.rows)), height)
    down = x.ceil_div(m, x.choose(followed, kept, height))
    across = x.choose(whole, one, x.ceil_div(n, width))
    if layout.divides:
        work = _work(x, tile)
        threads = x.choose(x.compare("sgt", work, x.const(SHARED)), THREADS, one)
        several = x.compare("sgt", threads, one)
        each = x.choose(x.compare("sgt", work, x.const(LITTLE)), x.const(SHARE), one)
        wanted = x.choose(several, x.mul(threads, each), one)
        room_across = x.choose(whole, one, x.ceil_div(n, LEAST_PANELS * tile.columns))
        across = most(across, least(x.ceil_div(wanted, down), room_across))
        room_down = x.ceil_div(m, LEAST_TILES * tile.rows)
        down = most(down, least(x.ceil_div(wanted, across), room_down))
        odd = x.compare("ne", x.code.operation("urem", across, threads), x.const(0))
        even = x.mul(x.ceil_div(down, threads), threads)
        down = x.choose(odd, most(down, least(even, room_down)), down)
    tall = x.mul(x.ceil_div(x.ceil_div(m, down), tile.rows), tile.rows)
    wide = x.mul(x.ceil_div(x.ceil_div(n, across), tile.columns), tile.columns)
    down, across = x.ceil_div(m, tall), x.ceil_div(n, wide)
    return tall, wide, down, x.mul(down, across)


def _plain_function(layout: Layout, target: Target) -> FunctionText:
    """The product without an epilogue."""
    x = Arithmetic(Code(has_fma=target.has_fma))
    x.call(f"{layout.name}.followed", (*PRODUCT_PARAMETERS, *NOT_FOLLOWED))
    x.code.builder.line("ret void")
    return x.function(layout.name, PRODUCT_PARAMETERS, target)


def _follow(x: Arithmetic, tile: Tile) -> None:
    """The epilogue on all of the result at once, if there is one."""

    def run() -> list[Val]:
        m, n = SIZES[:2]
        part = (BASE, x.add(BASE, m), x.const(0), n)
        behind = x.at(AREA, x.const(room_bytes(tile)))
        x.code.builder.line(epilogue_call(EPILOGUE, FRAME, part, behind))
        return []

    x.code.branch(x.compare("ne", EPILOGUE, NONE), [], run)
