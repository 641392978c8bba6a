"""The functions of kernels in a module: equal texts get one function."""

from collections.abc import Hashable, Sequence
from dataclasses import field
from typing import NamedTuple

from graphc.backends.llvm.emitter import emit_kernel, emit_range
from graphc.backends.llvm.epilogues import INNER, WHOLE, epilogue_function, kernel_of_part
from graphc.backends.llvm.gemm_finish import Finish, finishing_tile, is_light
from graphc.backends.llvm.gemm_tile import Tile
from graphc.backends.llvm.kernel_text import KernelText, renamed
from graphc.backends.llvm.target import Target
from graphc.backends.llvm.text import FunctionText
from graphc.loops.epilogues import Epilogue
from graphc.loops.ir import Contraction, Kernel
from graphc.records import dataclass
from graphc.shapes import Size, substitute


@dataclass(slots=True)
class Functions:
    """Kernels that were emitted: equal texts get one function."""

    target: Target
    unstreamed: frozenset[int] = frozenset()  # kernels that store into the cache
    texts: dict[tuple[int, bool], KernelText] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)  # by text
    functions: list[FunctionText] = field(default_factory=list)
    keep: list[Kernel] = field(default_factory=list)
    parts: dict[Hashable, "Part | None"] = field(default_factory=dict)
    part_names: dict[tuple[str, str], str] = field(default_factory=dict)  # by text and kind
    tiles: dict[str, str] = field(default_factory=dict)  # by part and place, and by text

    def kernel(self, kernel: Kernel, whole: bool = False) -> tuple[str, KernelText]:
        """whole: not to be divided."""
        text = self.texts.get((id(kernel), whole))
        if text is None:
            streams = id(kernel) not in self.unstreamed
            text = emit_kernel(kernel, self.target, whole=whole, streams=streams)
            self.texts[id(kernel), whole] = text
            self.keep.append(kernel)
        return self.named(text.functions), text

    def named(self, functions: Sequence[FunctionText]) -> str:
        """The name under which functions @KERNEL stand in the module."""
        text = "\n".join(function.text for function in functions)
        name = self.names.get(text)
        if name is None:
            name = self.names[text] = f"k{len(self.names)}"
            self.functions += renamed(functions, name)
        return name

    def part(self, product: Contraction, epilogue: Epilogue) -> "Part | None":
        """The kernel as a function of a part, if it is one."""
        call = epilogue.call
        key = (id(call.kernel), *call.sizes, epilogue.units, product.n)
        if key not in self.parts:
            self.keep.append(call.kernel)
            kernel, kind = kernel_of_part(product, epilogue)
            text = emit_range(kernel, self.target)
            self.parts[key] = None
            if text is not None:
                known = (text.text, kind)
                if known not in self.part_names:
                    name = self.part_names[known] = f"e{len(self.part_names)}"
                    types = ["ptr"] * len(kernel.parameters) + ["i64"] * len(kernel.sizes)
                    if kind == INNER:
                        types = types[:-2]
                    self.functions += text.named(name)
                    has_area = text.area != 0
                    whole = epilogue_function(name, kind, types, has_area, self.target)
                    self.functions.append(whole)
                area = substitute(text.area, dict(zip(call.kernel.sizes, call.sizes, strict=True)))
                self.parts[key] = Part(self.part_names[known], kind, area, kernel)
        return self.parts[key]

    def tile(self, part: "Part", tile: Tile, result: int, placed: int) -> str | None:
        """The name of a tile that applies an epilogue, if there is one. result, placed: the
        positions of the parameters that are the product, and that is written in its place."""
        if part.kind == WHOLE or part.area != 0:
            return None
        names = [parameter.name for parameter in part.kernel.parameters]
        finish = Finish(part.kernel, part.kind, names[result], names[placed])
        if not is_light(finish, tile):
            return None
        of = "".join(f"_{dtype.name}" for dtype in (tile.narrow, tile.other) if dtype is not None)
        name = f"{part.name}.tile_{result}_{placed}{of}"
        if name not in self.tiles:
            made = finishing_tile("KERNEL", tile, finish, self.target)
            known = self.tiles.setdefault(made.text, name)
            if known == name:
                self.functions += renamed([made], name)
            self.tiles[name] = known
        return self.tiles[name]


class Part(NamedTuple):
    """An epilogue: its name, its kind, how many bytes of scratch memory it needs, and the kernel
    of a part."""

    name: str
    kind: str
    area: Size
    kernel: Kernel


def heading(kernel: Kernel) -> str:
    """What a kernel computes and where that was written, as a comment above its text."""
    lines = " ".join(source.short for source in kernel.sources)
    words = f"{kernel.name}  {kernel.comment}  {lines}".split()
    return f"; {' '.join(words)}\n"
