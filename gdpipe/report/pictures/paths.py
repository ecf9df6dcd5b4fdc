"""Pictures of a penalty's path: the coefficients, and the error on unseen rows, against alpha."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from gdpipe.printable import printable
from gdpipe.report.pictures.axes import BOTTOM, EDGE, HEIGHT, RIGHT, TOP, WIDTH, Axis, Frame, picture, text
from gdpipe.report.pictures.letters import cut_to, text_width
from gdpipe.report.pictures.ticks import number

ALPHA = "alpha, falling to the right (logarithmic)"
# what the name of a line takes, what all names may take, and the line that leads to one, in the picture's units
NAME_HEIGHT, NAMES, LEADER = 13.0, 120.0, 14.0


def coefficient_paths(alphas: Sequence[float], paths: Mapping[str, Sequence[float]], chosen: float) -> str:
    """A picture of each term's coefficient, shape (n,), at each alpha, with a line at the chosen one.

    Names stand beside the weakest alpha. Lines of terms that are 0 at the chosen one are faint.
    """
    values = [value for path in paths.values() for value in path]
    if len(alphas) < 2 or not values:
        return ""
    names = {name: cut_to(printable(name), NAMES) for name in paths}
    room = max(map(text_width, names.values())) + LEADER + EDGE
    frame = Frame(_axis(alphas), Axis.around([0.0, *values], "target SDs per term SD"), right=room)
    body = [*frame.background(), frame.line([(frame.x.low, 0.0), (frame.x.high, 0.0)], "dash thin")]
    here, weakest = (min(range(len(alphas)), key=lambda i: abs(alphas[i] - at)) for at in (chosen, 0.0))
    for path in paths.values():
        body.append(frame.line(zip(alphas, path, strict=True), "line" if path[here] else "line faint"))
    ends = sorted((frame.at(alphas[weakest], path[weakest]), name) for name, path in paths.items())
    ends.sort(key=lambda end: end[0][1])
    for ((x, y), name), at in zip(ends, _apart([y for (_, y), _ in ends]), strict=True):
        body.append(f'<path class="axis thin" d="M{x:.1f} {y:.1f}L{x + LEADER - 4:.1f} {at:.1f}"/>')
        body.append(text(x + LEADER, at + 4, names[name], "name"))
    body.append(_upright(frame, chosen))
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
    lower, upper = ([value + sign * error for value, error in zip(rmse, std_error, strict=True)] for sign in (-1, 1))
    # words stand below the lower line, where there is room for them
    margin = (max(upper) - min(lower)) * 0.12
    frame = Frame(_axis(alphas), Axis.around([*upper, min(lower) - margin], f"RMSE on unseen rows, {unit}"))
    body = frame.background()
    body += [frame.line(zip(alphas, edge, strict=True), "dash thin") for edge in (lower, upper)]
    body.append(frame.line(zip(alphas, rmse, strict=True), "line"))
    body.append(_upright(frame, chosen))
    for name, alpha in marked.items():
        place = alphas.index(alpha)
        x, y = frame.at(alpha, rmse[place])
        body.append(f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="4"/>')
        body.append(text(x, frame.at(alpha, lower[place])[1] + 15, name, "mid halo"))
    said = f"From {number(min(rmse))} to {number(max(rmse))}; alpha {number(chosen)} was taken"
    return picture(body, "Error on unseen rows along the path", said)


def _axis(alphas: Sequence[float]) -> Axis:
    return replace(Axis.around(alphas, ALPHA, logarithmic=True), descending=True)


def _apart(places: Sequence[float]) -> list[float]:
    """Places, ascending, that are moved as little as keeps names in the frame and off each other."""
    least, most = TOP + NAME_HEIGHT / 2, HEIGHT - BOTTOM - NAME_HEIGHT / 2
    apart: list[float] = []
    for place in places:
        apart.append(max(place, apart[-1] + NAME_HEIGHT if apart else least))
    for i in reversed(range(len(apart))):
        apart[i] = min(apart[i], apart[i + 1] - NAME_HEIGHT if i + 1 < len(apart) else most)
    return apart


def _upright(frame: Frame, alpha: float) -> str:
    """A dashed line at an alpha, with words beside it."""
    x, said = frame.across(alpha), f"alpha {number(alpha)}"
    line = f'<path class="dash thin" d="M{x:.1f} {TOP}V{HEIGHT - BOTTOM}"/>'
    to_the_right = x + 5 + text_width(said) < WIDTH - max(frame.right, RIGHT)
    return line + text(
        x + (5 if to_the_right else -5), TOP + 12, said, "second halo" if to_the_right else "end second halo"
    )
