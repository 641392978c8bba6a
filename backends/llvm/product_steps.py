"""Matrix products as steps: our routine, loops; alone, in batches, with an epilogue."""

from collections.abc import Hashable, Sequence
from dataclasses import replace

from graphc.backends.llvm.batches import LARGE, batch_function, batch_name
from graphc.backends.llvm.contraction import (
    is_in_groups,
    matrix_product,
    may_be_vector,
    product_sizes,
    uses_gemm,
)
from graphc.backends.llvm.emitter import FRAME
from graphc.backends.llvm.epilogues import WHOLE
from graphc.backends.llvm.gemm import area_bytes, functions_of
from graphc.backends.llvm.gemm_chunks import NONE
from graphc.backends.llvm.gemm_cover import ends_slim
from graphc.backends.llvm.gemm_few import few_columns
from graphc.backends.llvm.gemm_kept import (
    Kept,
    keep_name,
    kept_functions,
    kept_name,
    kept_products,
    panel_apart,
    panel_bytes,
)
from graphc.backends.llvm.gemm_layout import Layout, layout_of
from graphc.backends.llvm.gemm_split import may_be_long
from graphc.backends.llvm.gemm_turned import is_turned
from graphc.backends.llvm.kernel_functions import Part, heading
from graphc.backends.llvm.parallel import THREADS, Range, divide
from graphc.backends.llvm.pool import LITTLE
from graphc.backends.llvm.steps import StepEmitter
from graphc.backends.llvm.text import Val
from graphc.dtypes import is_floating
from graphc.loops.epilogues import Epilogue
from graphc.loops.ir import Contraction, Kernel, Loop
from graphc.shapes import Size, ceil_div, size_product, substitute

BATCH_WORDS = 32  # of a frame for products over a batch, at most, beside four for each axis


class ProductSteps(StepEmitter):
    """Matrix products."""

    def _keep(self, step: Loop) -> None:
        """Pack what products in the loop multiply by, at the beginning of the scratch area."""
        packed: dict[Hashable, Kept] = {}
        for product in kept_products(self.program, step, self.target):
            row, start = product.distances[2], product.starts[2]
            key = (product.b, product.dtypes, product.transpose_b, product.n, product.k, row, start)
            if key not in packed:
                self.products.update(kept_functions(product, self.target))
                offset, size = self.kept_bytes, panel_bytes(product, self.target)
                panels = self._area(size)
                self.kept_bytes += size
                packed[key] = Kept(kept_name(product, self.target), offset)
                count, k = self.sizes.first(product.n), self.sizes.first(product.k)
                stride = self.sizes.first(row * product.dtypes[2].itemsize)
                apart = self.code.constant(panel_apart(product, self.target), "i64")
                arguments = [panels, self._matrix(product, 2), k, count, stride, apart, THREADS]
                self._call(keep_name(product, self.target), arguments)
            self.kept[id(product)] = packed[key]

    def _kept_product(self, step: Contraction, out: str, followed: list[Val]) -> None:
        """A product by what was packed before the loop. followed: the epilogue and its frame."""
        kept = self.kept[id(step)]
        start = self._slot(len(self.slots))
        panels = self.code.gep("i8", start, self.code.constant(kept.offset, "i64"))
        sizes = map(self.sizes.first, (step.m, step.n, step.k, *step.distances[:2]))
        to = self._matrix(step, 0) if out == step.out else self._buffer(out)
        matrices = [to, self._matrix(step, 1), panels]
        self._call(kept.name, [*matrices, *sizes, *followed, THREADS])

    def _with_epilogue(self, step: Contraction, follower: Epilogue | None) -> bool:
        """Run the kernel behind a product on its rows as they are done, if that can be."""
        if follower is None or not uses_gemm(step):
            return False
        call = follower.call
        part = self.functions.part(step, follower)
        if part is None or (part.area != 0 and id(step) in self.kept):
            return False
        self._allocate(call)
        place = self.places.place(step, call)
        if place != step.out:
            self.local[step.out] = 0
        buffers = {one: self._buffer(one) for one in call.arguments}
        buffers[step.out] = self._buffer(place)
        matrices = [buffers[step.out], self._matrix(step, 1), self._matrix(step, 2)]
        words = [self.sizes.first(follower.units), *(buffers[one] for one in call.arguments)]
        words += [self.sizes.first(size) for size in call.sizes]
        epilogue = Val(f"@{part.name}.rows", "ptr")
        if id(step) in self.kept:
            self._kept_product(step, place, [epilogue, self._held(words, 0)])
        else:
            finish = self._finish(step, follower, place, part)
            self._followed_product(step, matrices, epilogue, words, part, finish)
        start = f"@{part.name}.range("
        text = next(one.text for one in self.functions.functions if start in one.text)
        self.kernels.setdefault(call.kernel.name, heading(call.kernel) + text)
        return True

    def _followed_product(
        self,
        step: Contraction,
        matrices: list[Val],
        epilogue: Val,
        words: Sequence[Val],
        part: "Part",
        finish: Val,
    ) -> None:
        """words: what the epilogue finds in its frame. finish: a tile that does it too, or null."""
        layout = self._layout_of(step)
        room = ceil_div(area_bytes(layout, self.target) + part.area, 64) * 64
        sizes = [*map(self.sizes.first, (*_dims(step), *step.distances))]
        splits = Val("false" if part.kind == WHOLE else "true", "i1")
        if all(size == 1 for size in step.batch):
            zero = self.code.constant(0, "i64")
            followed = [epilogue, self._held(words, 0), splits, finish, zero]
            area = [self._area(0, room), self.sizes.first(room), THREADS]
            self._call(f"{layout.name}.followed", [*matrices, *sizes, *area, *followed])
            return
        held = self._held(words, BATCH_WORDS + 4 * len(step.batch))
        followed = [epilogue, held, splits, finish]
        work = work_of_one(step) * step.k
        self._divided_batch(step, layout.name, matrices, sizes, work, room, followed)

    def _finish(self, step: Contraction, follower: Epilogue, place: str, part: Part) -> Val:
        """The tile that applies the epilogue itself, or null."""
        if not self.places.passes(step):
            return NONE
        layout = self._layout_of(step)
        if layout.turned:
            return NONE
        tile = layout.tile(self.target)
        arguments = follower.call.arguments
        name = self.functions.tile(part, tile, arguments.index(step.out), arguments.index(place))
        return NONE if name is None else Val(f"@{name}", "ptr")

    def _area_of(self, layout: Layout, step: Contraction) -> list[Val]:
        """What a call of our routine gets behind the sizes."""
        room = area_bytes(layout, self.target)
        return [self._area(0, room), self.sizes.first(room), THREADS]

    def _layout_of(self, step: Contraction) -> Layout:
        """What our routine for the product serves; the routine is emitted."""
        vectors, long = may_be_vector(step), may_be_long(step)
        layout = layout_of(step, vectors=vectors, divides=self.divides, long=long)
        if not layout.vectors and is_turned(step, layout.tile(self.target)):
            layout = replace(layout, long=False, turned=True)
        else:
            tile = layout.tile(self.target)
            few = few_columns(step, tile)
            layout = replace(layout, few=few, slim=not few and ends_slim(step.n, tile))
        if layout.name not in self.products:
            self.products.update(functions_of(layout, self.target))
        return layout

    def _contraction(self, step: Contraction) -> None:
        if id(step) in self.kept:
            self._kept_product(step, step.out, [NONE, NONE])
            return
        pointers = [self._matrix(step, number) for number in range(3)]
        dims, rows = _dims(step), step.distances
        layout: Layout | None = None
        scratch: Size = 0
        if uses_gemm(step) and not is_in_groups(step):
            layout = self._layout_of(step)
            name, sizes = layout.name, [*map(self.sizes.first, (*dims, *rows))]
        else:
            product = self._product(step)
            values = product_sizes(step)
            sizes = [self.sizes.first(values[name]) for name in product.sizes]
            if all(size == 1 for size in step.batch):
                name, text = self.functions.kernel(product)
                self._run(name, text, [*pointers, *sizes], values)
                return
            name, text = self.functions.kernel(product, whole=True)
            scratch = substitute(text.area, values)
        strides = list(step.strides)
        one = work_of_one(step)
        all_work = size_product(step.batch) * one * step.k
        little = isinstance(all_work, int) and all_work <= LITTLE
        if all(size == 1 for size in step.batch) or little or scratch != 0:
            if layout is not None:
                sizes += self._area_of(layout, step)
            elif scratch != 0:  # one area: the products share it, one after the other
                sizes.append(self._area(scratch))
            self._batches(step, 0, name, pointers, strides, sizes)
            return
        room = 0 if layout is None else area_bytes(layout, self.target)
        self._divided_batch(step, name, pointers, sizes, one * step.k, room)

    def _divided_batch(
        self,
        step: Contraction,
        name: str,
        pointers: list[Val],
        sizes: list[Val],
        work: Size,
        room: Size,
        followers: Sequence[Val] = (),
    ) -> None:
        """Products over a batch, on threads; work: of one of them, room: what one needs."""
        axes = [axis for axis, size in enumerate(step.batch) if size != 1]
        own = batch_name(name, len(axes), bool(followers))
        divides = room != 0
        if own not in self.routines:
            self.routines[own] = batch_function(
                name,
                sizes,
                len(axes),
                [dtype.itemsize for dtype in step.dtypes],
                self.target,
                divides=divides,
                follows=bool(followers),
            )
        builder = self.code.builder
        one = self.sizes.first(work)
        counts = [self.sizes.first(step.batch[axis]) for axis in axes]
        units = counts[0]
        for count in counts[1:]:
            units = builder.mul(units, count)
        total = builder.mul(one, units)
        inner = self.code.constant(1, "i64")
        if divides:
            large = builder.icmp("sgt", one, self.code.constant(LARGE, "i64"))
            inner = builder.select(large, THREADS, inner)
            total = builder.select(large, self.code.constant(0, "i64"), total)
        words = [*pointers, *sizes, *counts]
        words += [self.sizes.first(lengths[axis]) for lengths in step.strides for axis in axes]
        words += [*followers, inner]
        if divides:
            words += [self._area(0, room), self.sizes.first(room)]
        self.frame_words = max(self.frame_words, len(words))
        divide(builder, own, FRAME, words, Range(units, total), THREADS)

    def _matrix(self, step: Contraction, number: int) -> Val:
        """Where the first matrix begins: of the result (0), a (1) or b (2)."""
        place = self._buffer((step.out, step.a, step.b)[number])
        start = self.sizes.first(step.starts[number])
        return self.code.gep(f"i{8 * step.dtypes[number].itemsize}", place, start)

    def _product(self, step: Contraction) -> Kernel:
        flags = step.transpose_a, step.transpose_b, is_in_groups(step)
        key = (step.dtypes, *_dims(step), *flags, step.rows)
        if key not in self.loop_products:
            self.loop_products[key] = matrix_product(step)
        return self.loop_products[key]

    def _batches(
        self,
        step: Contraction,
        axis: int,
        name: str,
        pointers: list[Val],
        strides: list[tuple[Size, ...]],
        sizes: list[Val],
    ) -> None:
        """A loop per batch axis around the call."""
        code = self.code
        if axis == len(step.batch):
            self._call(name, [*pointers, *sizes])
            return
        if step.batch[axis] == 1:
            self._batches(step, axis + 1, name, pointers, strides, sizes)
            return
        lengths = [self.sizes.first(stride[axis]) for stride in strides]

        def body(index: Val, _: list[Val]) -> list[Val]:
            moved = [
                code.gep(f"i{8 * dtype.itemsize}", pointer, code.operation("mul", index, length))
                for pointer, length, dtype in zip(pointers, lengths, step.dtypes, strict=True)
            ]
            self._batches(step, axis + 1, name, moved, strides, sizes)
            return []

        code.loop(code.constant(0, "i64"), self.sizes.first(step.batch[axis]), 1, [], body)


def work_of_one(step: Contraction) -> Size:
    """Of a sum of products of length one for each element."""
    return (2 * step.dtype.itemsize // 4 if is_floating(step.dtype) else 4) * step.m * step.n


def _dims(step: Contraction) -> tuple[Size, Size, Size]:
    return step.m, step.n, step.k
