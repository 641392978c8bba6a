"""What the examples share: a figure for each, and --quick for a small run.

A figure goes to figures/NAME.png, or to the path after --figure. Without matplotlib (the extra
"examples") there is none.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

try:
    from matplotlib.figure import Figure
except ImportError:
    Figure = None

_parser = argparse.ArgumentParser(description=getattr(sys.modules["__main__"], "__doc__", None))
_parser.add_argument("--quick", action="store_true", help="a small run, as the tests do it")
_parser.add_argument("--figure", type=Path, metavar="PATH", help="where the figure goes (.png)")
_given = _parser.parse_known_args()[0]

QUICK: bool = _given.quick


def figure(
    columns: int = 1, rows: int = 1, size: tuple[float, float] = (5.0, 3.5)
) -> Callable[[Callable[..., None]], None]:
    """Calls the decorated function with axes, and saves what it draws.

    >>> @figure(columns=2)
    ... def _(left, right):
    ...     left.plot(losses)
    """

    def draw(function: Callable[..., None]) -> None:
        if Figure is None:
            print('no figure: pip install "graphc[examples]"')
            return
        picture = Figure(figsize=size, layout="constrained")
        function(*picture.subplots(rows, columns, squeeze=False).ravel())
        path = _given.figure or Path("figures") / f"{Path(sys.argv[0]).stem}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        picture.savefig(path, dpi=120)
        print("figure in", path)

    return draw


def show(axes: Any, image: np.ndarray, title: str = "", **options: Any) -> None:
    """An image without ticks; dark is 1 in images of one channel."""
    axes.imshow(image, **{"cmap": "gray_r", **options})
    axes.set(title=title, xticks=[], yticks=[])


def tiled(images: np.ndarray, columns: int) -> np.ndarray:
    """Images [count, height, width] side by side in one, with lines between them."""
    count, height, width = images.shape
    rows = -(-count // columns)
    edge = 0.6 * float(images.min()) + 0.4 * float(images.max())
    sheet = np.full((rows * (height + 1) + 1, columns * (width + 1) + 1), edge)
    for number, image in enumerate(images):
        top, left = number // columns * (height + 1) + 1, number % columns * (width + 1) + 1
        sheet[top : top + height, left : left + width] = image
    return sheet
