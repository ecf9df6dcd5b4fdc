"""Pictures of a penalty's path: the coefficients, and the error on unseen rows, against alpha."""

import math
from collections.abc import Mapping, Sequence

from gdpipe.report.pictures.axes import BOTTOM, HEIGHT, RIGHT, TOP, WIDTH, Axis, Frame, picture, text
from gdpipe.report.pictures.letters import text_width
from gdpipe.report.pictures.ticks import number

ALPHA = "alpha, logarithmic"
# what the name of a line takes, in the picture's units
NAME_HEIGHT = 12.0


def coefficient_paths(alphas: Sequence[float], paths: Mapping[str, Sequence[float]], chosen: float) -> str:
    """A picture of each term's coefficient, shape (n,), at each alpha, with a line at the chosen one."""
    values = [value for path in paths.values() for value in path]
    if len(alphas) < 2 or not values:
        return ""
    frame = Frame(_axis(alphas), Axis.around([0.0, *values], "target SDs per term SD"))
    body = [*frame.background(), frame.line([(frame.x.low, 0.0), (frame.x.high, 0.0)], "dash thin")]
    body += [frame.line(zip(alphas, path, strict=True), "line") for path in paths.values()]
    weakest = min(range(len(alphas)), key=lambda i: alphas[i])
    # the largest first: where names would lie on each other, the smaller one has none
    named: list[float] = []
    for name, path in sorted(paths.items(), key=lambda item: -abs(item[1][weakest])):
        x, y = frame.at(alphas[weakest], path[weakest])
        if all(abs(y - other) >= NAME_HEIGHT for other in named):
            body.append(text(x + 4, y - 3, name, "halo"))
            named.append(y)
    body.append(_upright(frame, chosen, f"alpha {number(chosen)}", names_on_the_left=True))
    said = f"{len(paths)} coefficients, alpha from {number(min(alphas))} to {number(max(alphas))}"
    return picture(body, "Coefficients along the path", said)


def error_curve(
    alphas: Sequence[float],
    rmse: Sequence[float],
    std_error: Sequence[float],
    marked: Mapping[str, float],
    chosen: float,
    unit: str,
) -> str:
    """A picture of the error on unseen rows at each alpha, with one standard error to either side.

    Args:
        alphas: Shape (n,).
        rmse: Shape (n,), NaN where there is none.
        std_error: Shape (n,).
        marked: The alphas that are marked, by what is written there.
        chosen: The alpha of the run.
        unit: The target's.
    """
    if len(alphas) < 2 or not all(map(math.isfinite, [*rmse, *std_error])):
        return ""
    ends = [value + sign * error for value, error in zip(rmse, std_error, strict=True) for sign in (-1, 1)]
    frame = Frame(_axis(alphas), Axis.around(ends, f"RMSE on unseen rows, {unit}"))
    body = frame.background()
    for sign in (-1, 1):
        edge = [value + sign * error for value, error in zip(rmse, std_error, strict=True)]
        body.append(frame.line(zip(alphas, edge, strict=True), "dash thin"))
    body.append(frame.line(zip(alphas, rmse, strict=True), "line"))
    body.append(_upright(frame, chosen, f"alpha {number(chosen)}"))
    for name, alpha in marked.items():
        x, y = frame.at(alpha, rmse[alphas.index(alpha)])
        body.append(f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="4"/>')
        body.append(text(x, y - 9, name, "mid halo"))
    said = f"From {number(min(rmse))} to {number(max(rmse))}; alpha {number(chosen)} was taken"
    return picture(body, "Error on unseen rows along the path", said)


def _axis(alphas: Sequence[float]) -> Axis:
    return Axis.around(alphas, ALPHA, logarithmic=True)


def _upright(frame: Frame, alpha: float, said: str, *, names_on_the_left: bool = False) -> str:
    """A dashed line at an alpha, with words beside it, or at the right end where names stand on the left."""
    x = frame.across(alpha)
    if names_on_the_left and x < (end := WIDTH - RIGHT - 2) - text_width(said) - 5:
        return f'<path class="dash thin" d="M{x:.1f} {TOP}V{HEIGHT - BOTTOM}"/>' + text(
            end, TOP + 12, said, "end second"
        )
    style = "second" if x < WIDTH / 2 else "end second"
    line = f'<path class="dash thin" d="M{x:.1f} {TOP}V{HEIGHT - BOTTOM}"/>'
    return line + text(x + (5 if x < WIDTH / 2 else -5), TOP + 12, said, style)
