"""Pictures as SVG, drawn from the numbers of a run: small, sharp, and readable without any script."""

import html
import math
from collections.abc import Sequence

WIDTH, HEIGHT = 640, 280
LEFT, RIGHT, TOP, BOTTOM = 70, 16, 16, 40
MAX_POINTS = 400


def loss_curve(iterations: Sequence[int], losses: Sequence[float], ols_loss: float) -> str:
    """What is left of the loss above the OLS floor, against the step; both axes logarithmic.

    Args:
        iterations: Shape (n,), ascending from 0.
        losses: Shape (n,), mean squared errors.
        ols_loss: The floor.
    """
    # evenly in the logarithm, as the axis is
    keep = {round(len(losses) ** (i / MAX_POINTS)) - 1 for i in range(MAX_POINTS + 1)}
    points = [(math.log10(iterations[i] + 1), losses[i] - ols_loss) for i in sorted(keep)]
    above = [(x, math.log10(y)) for x, y in points if y > 0]
    if len(above) < 2:  # a line needs two points
        return "<p>The first step reached the optimum: there is no curve to draw.</p>"
    x_axis = (0.0, max(x for x, _ in above) or 1.0)
    y_axis = (math.floor(min(y for _, y in above)), math.ceil(max(y for _, y in above)))
    path = " ".join(f"{_x(x, x_axis):.1f},{_y(y, y_axis):.1f}" for x, y in above)
    body = [f'<polyline class="line" points="{path}"/>']
    body += [_x_tick(_x(power, x_axis), f"{10**power:,}") for power in range(math.floor(x_axis[1]) + 1)]
    step = max(1, (y_axis[1] - y_axis[0]) // 6)
    body += [_y_tick(_y(power, y_axis), f"1e{power}") for power in range(y_axis[0], y_axis[1] + 1, step)]
    return _svg(body, "Loss above the OLS loss at each step of the descent", "step + 1", HEIGHT)


def coefficients(terms: Sequence[str], estimates: Sequence[float], half_widths: Sequence[float]) -> str:
    """Standardized coefficients with 95 % intervals, the largest first.

    Args:
        terms: Shape (p,).
        estimates: Shape (p,), target SDs per feature SD.
        half_widths: Shape (p,), of the intervals; NaN where there is none.
    """
    order = sorted(range(len(terms)), key=lambda i: -abs(estimates[i]))[:30]
    if not order:
        return ""
    reach = max(abs(estimates[i]) + (half_widths[i] if half_widths[i] == half_widths[i] else 0.0) for i in order)  # NaN
    axis = (-reach * 1.05 or -1.0, reach * 1.05 or 1.0)
    height = 26 * len(order) + TOP + BOTTOM
    zero = _x(0.0, axis)
    body = [f'<line class="axis" x1="{zero:.1f}" x2="{zero:.1f}" y1="{TOP}" y2="{height - BOTTOM}"/>']
    for place, i in enumerate(order):
        y = TOP + 26 * place + 13
        start, end = sorted((zero, _x(estimates[i], axis)))
        body.append(f'<rect class="bar" x="{start:.1f}" y="{y - 7}" width="{max(end - start, 1):.1f}" height="14"/>')
        if half_widths[i] == half_widths[i]:  # NaN
            low, high = _x(estimates[i] - half_widths[i], axis), _x(estimates[i] + half_widths[i], axis)
            body.append(f'<line class="line" x1="{low:.1f}" x2="{high:.1f}" y1="{y}" y2="{y}"/>')
        label = f"{terms[i]}  {estimates[i]:.3g}"
        at, anchor = (zero - 6, "end") if estimates[i] >= 0 else (zero + 6, "start")
        body.append(f'<text x="{at:.1f}" y="{y + 4}" text-anchor="{anchor}">{html.escape(label)}</text>')
    title = "Standardized coefficients with 95 % intervals"
    return _svg(body, title, "target standard deviations per feature standard deviation", height)


def _x(value: float, axis: tuple[float, float]) -> float:
    return LEFT + (value - axis[0]) / (axis[1] - axis[0]) * (WIDTH - LEFT - RIGHT)


def _y(value: float, axis: tuple[float, float]) -> float:
    return HEIGHT - BOTTOM - (value - axis[0]) / ((axis[1] - axis[0]) or 1) * (HEIGHT - TOP - BOTTOM)


def _x_tick(x: float, label: str) -> str:
    return f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{label}</text>'


def _y_tick(y: float, label: str) -> str:
    return (
        f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{label}</text>'
    )


def _svg(body: Sequence[str], title: str, x_label: str, height: int) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{html.escape(title)}">'
        f"<title>{html.escape(title)}</title>{''.join(body)}"
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{height - 6}" text-anchor="middle">{html.escape(x_label)}</text>'
        "</svg>"
    )
