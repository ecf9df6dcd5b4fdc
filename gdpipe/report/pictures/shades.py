"""Cells of a picture in shades of one colour, and the scale that says how many rows a shade stands for."""

import math
from collections.abc import Iterator

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
    strokes: dict[int, list[str]] = {}
    for line, first, n, shade in _runs(shades.T):  # a run is a stroke as wide as a cell is high
        strokes.setdefault(shade, []).append(f"M{first} {line}h{n + OVERLAP:g}")
    paths = [f'<path class="c{k - 1}" d="{"".join(strokes[k])}"/>' for k in range(1, SHADES + 1) if k in strokes]
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


def _runs(shades: NDArray[np.int64]) -> Iterator[tuple[int, int, int, int]]:
    """The runs of neighbours of one shade in a line: the line, the first of them, how many they are, the shade."""
    begins = np.ones(shades.shape, dtype=bool)
    begins[:, 1:] = shades[:, 1:] != shades[:, :-1]
    at = np.flatnonzero(begins)
    lengths = np.diff(at, append=shades.size)
    line, first = np.divmod(at, shades.shape[1])
    return zip(line.tolist(), first.tolist(), lengths.tolist(), shades.ravel()[at].tolist(), strict=True)
