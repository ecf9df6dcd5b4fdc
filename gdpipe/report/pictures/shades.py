"""Cells of a picture in shades of one colour, and the scale that says how many rows a shade stands for."""

import math

import numpy as np
from numpy.typing import NDArray

from gdpipe.report.pictures.axes import BOTTOM, EDGE, RIGHT, SHADES, TOP, WIDTH, Frame, text
from gdpipe.report.pictures.letters import text_width

# overlap of neighbouring cells, as a share of one, so that no gap is seen between them
OVERLAP = 0.1
# units below a picture for its scale, and the size of a shade in it
SCALE_HEIGHT, SHADE_WIDTH, SHADE_HEIGHT = 24, 12, 10


def cells(frame: Frame, counts: NDArray[np.int64]) -> list[str]:
    """Cells that fill the frame, one SVG path for each shade, which grows with the logarithm of the rows.

    Args:
        frame: The axes.
        counts: By cells across (first axis) and up, at least 0.
    """
    columns, lines = counts.shape
    width, height = (WIDTH - frame.left - RIGHT) / columns, (frame.height - TOP - BOTTOM) / lines
    most = max(math.log1p(int(counts.max(initial=0))), 1e-9)
    # rounded, the logarithm of the most rows may exceed itself
    shades = np.minimum(np.ceil(SHADES * np.log1p(counts) / most).astype(int), SHADES)
    paths = []
    for k in range(1, SHADES + 1):
        # a cell is a stroke as wide as the cell is high; neighbours of one shade are one stroke
        strokes = "".join(
            f"M{first} {line}h{n + OVERLAP:g}" for line in range(lines) for first, n in _runs(shades[:, line] == k)
        )
        if strokes:
            paths.append(f'<path class="c{k - 1}" d="{strokes}"/>')
    place = f"matrix({width:.4f} 0 0 {-height:.4f} {frame.left:g} {frame.height - BOTTOM - height / 2:.2f})"
    return [f'<g class="cell" stroke-width="{1 + OVERLAP}" transform="{place}">{"".join(paths)}</g>']


def scale(frame: Frame, most: int) -> list[str]:
    """The scale of the shades, below the picture: from one row in a cell to the most there are."""
    top, last = frame.height + 4, f"{most:,} rows a cell"
    x = WIDTH - EDGE - text_width(last) - 6 - SHADES * SHADE_WIDTH
    squares = [
        f'<rect class="s{k}" x="{x + k * SHADE_WIDTH:.1f}" y="{top}" width="{SHADE_WIDTH}" height="{SHADE_HEIGHT}"/>'
        for k in range(SHADES)
    ]
    return [text(x - 6, top + 9, "1", "end"), *squares, text(WIDTH - EDGE, top + 9, last, "end")]


def _runs(marked: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Where neighbours are marked: the first of each run, and how many they are."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], marked.astype(np.int8), [0]])))
    return [(int(first), int(end - first)) for first, end in zip(edges[::2], edges[1::2], strict=True)]
