"""The memory plan as a picture: which piece of the arena each temporary has, at which steps."""

from collections.abc import Mapping, Sequence
from itertools import count

from graphc.inspect.marked_text import BUFFER, escaped
from graphc.inspect.memory import format_bytes
from graphc.ir.printer import format_sources
from graphc.loops.ir import Program
from graphc.memory.plan import USUAL, MemoryPlan
from graphc.records import dataclass
from graphc.shapes import evaluate, format_shape, symbols_of

LEFT, RIGHT, TOP, BOTTOM = 84, 70, 14, 22  # pixels around the picture
LEAST_WIDTH, MOST_WIDTH, STEP_WIDTH = 480, 2400, 60
LEAST_HEIGHT, MOST_HEIGHT, BLOCK_HEIGHT = 160, 640, 40
ALIVE_HEIGHT, GAP = 70, 34
CHARACTER, TEXT_HEIGHT, LINE_HEIGHT = 6, 8, 11
MOST_BLOCKS = 1_200  # the largest; the others would be thinner than a line


@dataclass(frozen=True, slots=True)
class _Scale:
    """Steps and bytes as pixels."""

    step: float
    byte: float
    height: int  # of the arena

    def x(self, step: float) -> float:
        return LEFT + step * self.step

    def y(self, place: float) -> float:
        return TOP + self.height - place * self.byte


def drawn_sizes(plan: MemoryPlan, values: Mapping[str, int]) -> dict[str, int]:
    """Numbers for all sizes that the plan depends on: those that are given, else a usual one."""
    symbols = {symbol for size in plan.sizes.values() for symbol in symbols_of(size)}
    return {symbol: values.get(symbol, USUAL) for symbol in sorted(symbols)}


def memory_picture(program: Program, plan: MemoryPlan, values: Mapping[str, int]) -> str:
    """An SVG image: a block a temporary, over its steps and at its place in the arena; below it
    the bytes that are alive at each step. values: of all sizes. Needs a temporary that has bytes.
    """
    offsets, arena = plan.layout(values)
    alive = plan.live_at(values)
    bound, steps = max(alive), len(program.all_steps)
    width = min(max(steps * STEP_WIDTH, LEAST_WIDTH), MOST_WIDTH)
    tall = min(max(len(plan.lives) * BLOCK_HEIGHT, LEAST_HEIGHT), MOST_HEIGHT)
    scale = _Scale(width / steps, tall / arena, tall)
    whole, below = LEFT + width + RIGHT, TOP + tall + GAP
    height = below + ALIVE_HEIGHT + BOTTOM
    sizes = {name: evaluate(size, values) for name, size in plan.sizes.items()}
    largest = sorted(plan.lives, key=lambda name: -sizes[name])[:MOST_BLOCKS]
    chosen = set(largest)
    shown = [name for name in plan.lives if name in chosen]
    rows = [
        f'<svg width="{whole}" height="{height}" viewBox="0 0 {whole} {height}" role="img" '
        f'aria-label="memory plan: arena of {format_bytes(arena)} over {steps} steps">',
        *_steps(scale, steps, height),
        *[_block(program, plan, scale, name, offsets[name], sizes[name]) for name in shown],
        _level(scale, width, arena, "peak", "arena", TEXT_HEIGHT),
        _level(scale, width, bound, "bound", "bound", _below(scale, bound, arena)),
        _level(scale, width, 0, "grid", "", 0),
        *_alive(scale, alive, bound, below),
        "</svg>",
    ]
    return "\n".join(row for row in rows if row)


def _below(scale: _Scale, bound: int, arena: int) -> float:
    """How far below its line the name of the bound stands, so as not to meet that of the arena."""
    return max(1, scale.y(arena) + TEXT_HEIGHT + LINE_HEIGHT - scale.y(bound))


def _steps(scale: _Scale, steps: int, height: int) -> list[str]:
    """The numbers of steps, and lines for them."""
    least = STEP_WIDTH / scale.step
    every = next(n * 10**k for k in count() for n in (1, 2, 5) if n * 10**k >= least - 1e-9)
    rows = []
    for step in range(0, steps, every):
        x = scale.x(step)
        rows.append(
            f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{height - BOTTOM}"/>'
            f'<text class="axis" x="{x + 2:.1f}" y="{height - 8}">{step}</text>'
        )
    return [*rows, f'<text class="axis" x="4" y="{height - 8}">step</text>']


def _block(
    program: Program, plan: MemoryPlan, scale: _Scale, name: str, offset: int, size: int
) -> str:
    life, buffer = plan.lives[name], program.buffers[name]
    donor = plan.in_place.get(name)
    x, y = scale.x(life.first), scale.y(offset + size)
    width, height = (life.last + 1 - life.first) * scale.step, size * scale.byte
    told = [
        f"{name}: {buffer.dtype.name}{format_shape(buffer.shape)}",
        f"{format_bytes(size)} at {offset}, steps {life.first} to {life.last}",
        *([f"in place of {donor}"] if donor is not None else []),
        *([sources] if (sources := format_sources(buffer.sources)) else []),
    ]
    label = ""
    if height >= TEXT_HEIGHT and width >= CHARACTER * len(name) + 4:
        middle = y + height / 2 + 3.5
        label = f'<text x="{x + 3:.1f}" y="{middle:.1f}">{escaped(name)}</text>'
    kind = "block over" if donor is not None else "block"
    return (
        f'<g data-v="{BUFFER}.{escaped(name)}"><title>'
        f"{chr(10).join(map(escaped, told))}</title>"
        f'<rect class="{kind}" x="{x:.1f}" y="{y:.1f}" width="{max(width, 0.5):.1f}" '
        f'height="{max(height, 0.5):.1f}"/>{label}</g>'
    )


def _level(scale: _Scale, width: int, place: int, kind: str, name: str, drop: float) -> str:
    """A line across, with its name at the right and its bytes at the left."""
    y, end = scale.y(place), LEFT + width
    text = format_bytes(place)
    bytes_ = f'<text class="axis" x="{LEFT - 6 - CHARACTER * len(text)}" y="{y + 4:.1f}">{text}'
    return (
        f'<line class="{kind}" x1="{LEFT}" x2="{end}" y1="{y:.1f}" y2="{y:.1f}"/>'
        + (f'<text class="axis" x="{end + 6}" y="{y + drop:.1f}">{name}</text>' if name else "")
        + (f"{bytes_}</text>" if kind != "bound" or place * scale.byte < scale.height - 12 else "")
    )


def _alive(scale: _Scale, alive: Sequence[int], bound: int, top: int) -> list[str]:
    """Bytes alive at each step, as an area whose height is that of the lower bound."""
    bottom = top + ALIVE_HEIGHT
    heights = [bottom - size / max(bound, 1) * ALIVE_HEIGHT for size in alive]
    path = [f"M{LEFT},{bottom}"]
    for step, y in enumerate(heights):
        if not step or y != heights[step - 1]:
            path.append(f"H{scale.x(step):.1f}V{y:.1f}")
    path.append(f"H{scale.x(len(alive)):.1f}V{bottom}Z")
    return [
        f'<text class="axis" x="{LEFT}" y="{top - 6}">alive at each step, '
        f"at most {format_bytes(bound)}</text>",
        f'<path class="alive" d="{"".join(path)}"/>',
    ]
