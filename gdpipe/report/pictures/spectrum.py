"""The condition of the problem: the eigenvalues of the correlation matrix, largest first."""

import numpy as np
from numpy.typing import NDArray

from gdpipe.report.pictures.axes import WIDTH, Axis, Frame, number, picture, text

MAX_POINTS = 300


def spectrum(eigenvalues: NDArray[np.float64]) -> str:
    """How much the features vary along each of their own directions; the ratio of the ends is the condition number.

    Args:
        eigenvalues: Ascending, shape (rank,).
    """
    sizes = eigenvalues[eigenvalues > 0][::-1].tolist()
    if not sizes:
        return ""
    n = len(sizes)
    drawn = np.unique(np.rint(np.linspace(0, n - 1, min(n, MAX_POINTS))).astype(int)).tolist()
    frame = Frame(
        Axis(0.5, n + 0.5, "direction, the widest first", whole=True),
        Axis.around([1.0, *sizes], "eigenvalue", logarithmic=True),
    )
    ground = frame.at(1, frame.y.low)[1]
    radius = 4.0 if n <= 30 else 2.0
    body = frame.background()
    body.append(frame.line([(frame.x.low, 1.0), (frame.x.high, 1.0)], "dash thin"))
    for i in drawn:
        x, y = frame.at(i + 1, sizes[i])
        body.append(f'<path class="stem" d="M{x:.1f} {ground:.1f}V{y:.1f}"/>')
        body.append(f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="{radius:g}"/>')
    body.append(text(WIDTH - 16, 40, f"largest / least = {number(sizes[0] / sizes[-1])}", "end second"))
    return picture(
        body, "Spectrum of the correlation matrix", f"{n} eigenvalues from {number(sizes[0])} to {number(sizes[-1])}"
    )
