"""Full-batch gradient descent on standardized coefficients."""

import enum
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from gdpipe.numerics.descent.agreement import EPSILON
from gdpipe.numerics.descent.plan import Plan
from gdpipe.numerics.problem.absorbed import Absorbed
from gdpipe.numerics.problem.objective import LeastSquares
from gdpipe.numerics.problem.penalty import least_subgradient, soft_threshold

# the gradient is evaluated exactly each time its norm has fallen by this factor, so that float64 always has at least 9
# of its 16 digits for the direction
RECENTRE_AFTER = 1e-7
# steps between two looks at the clock, and between two calls of `tell`
CLOCK_EVERY = 256
# float64 rounding of mu and of a norm may make a bound too small by this factor
BOUND_MARGIN = 1 + 1e-5
# the most steps that a history records, and the most coefficients: 34 MB of them, so that with thousands of terms it
# takes no more memory than their matrix
HISTORY_ROWS = 10_000
HISTORY_NUMBERS = 2**22
LEAST_HISTORY_ROWS = 100


class Status(enum.Enum):
    """The end of a descent; the value is the remedy."""

    CONVERGED = "the distance to the optimum is within tolerance"
    MAX_ITERATIONS = (
        "max_iterations was reached first: allow more steps, or leave out nearly dependent features; "
        "method and learning_rate are fastest 'auto'"
    )
    MAX_SECONDS = "max_seconds ran out first: allow more time, or leave method and learning_rate 'auto'"
    STALLED = "coefficients rounded to float64 cannot come within this tolerance: ask for a larger one"


@dataclass(frozen=True, slots=True, eq=False)
class Solution:
    """The end of a descent and its history.

    Attributes:
        coef_scaled: Shape (p,), target SDs per feature SD.
        status: How the descent ended.
        plan: The descent as it was planned.
        iterations: Steps taken.
        gradient_norm: ||A w - b|| at the end; with an l1 penalty that of the shortest subgradient.
        distance_bound: ||g|| / mu plus the rounding of w to float64: at least ||w - w*||, in standardized units;
            infinite where mu cannot be told from zero.
        loss: The loss at the end, in the target's unit squared; with a penalty 2·variance·penalty is part of it, as
            descent makes their sum small.
        history_iterations: The recorded steps, ascending, the first and last among them; shape (n,).
        history_coef_scaled: The coefficients at each recorded step, shape (n, p).
        history_loss: The loss there, shape (n,), in the target's unit squared.
        history_gradient_norm: The gradient norm there, shape (n,).
    """

    coef_scaled: NDArray[np.float64]
    status: Status
    plan: Plan
    iterations: int
    gradient_norm: float
    distance_bound: float
    loss: float
    history_iterations: NDArray[np.int64]
    history_coef_scaled: NDArray[np.float64]
    history_loss: NDArray[np.float64]
    history_gradient_norm: NDArray[np.float64]


def minimize(
    problem: LeastSquares,
    plan: Plan,
    tell: Callable[[int, float], None] = lambda step, norm: None,
    l1: float = 0.0,
    of_all: int | None = None,
) -> Solution:
    """Descend from zero: v = w + momentum·(w - w_before);  w_next = v - learning_rate · (A v - b).

    With momentum 0 this is the textbook's batch gradient descent; otherwise Nesterov (2018), "Lectures on Convex
    Optimization", scheme 2.2.22 with known L and mu.

    It differs from the textbook in two things:
    1. The iterate is the sum centre + offset, and the gradient is A·offset + gradient(centre), where gradient(centre)
       is exact. The centre moves to the iterate each time the gradient has fallen by 1e-7. This changes only the
       rounding: the gradient has its leading digits until the end.
    2. It stops at a bound of the distance to the optimum, ||g|| / mu, never because progress is small.

    With an l1 penalty each step ends with its proximal operator, the soft threshold (proximal gradient descent; Beck &
    Teboulle 2009, "A fast iterative shrinkage-thresholding algorithm"). The gradient of l1·|w|₁ at the centre is part
    of the centre's, the gradient norm is that of the shortest subgradient, and mu that of the terms that are not zero.
    A ridge penalty is part of the problem (`LeastSquares.ridge`).

    `tell` is called every few hundred steps with the step and the gradient norm there. `of_all` is the number of all
    coefficients, where more than those that descend will stand in the history.
    """
    stop, rate, momentum = plan.stop_gradient_norm, plan.learning_rate, plan.momentum
    deadline = math.inf if plan.max_seconds is None else time.monotonic() + plan.max_seconds

    hessian, p = problem.hessian, problem.n_features
    centre, signs = np.zeros(p), np.zeros(p)
    centre_gradient = problem.gradient(centre.tolist())
    recentre = RECENTRE_AFTER * float(np.linalg.norm(centre_gradient))
    offset, before, gradient, scratch = np.zeros(p), np.zeros(p), np.empty(p), np.empty(p)
    history = _History(plan.max_iterations, of_all or p)
    status, iteration = Status.MAX_ITERATIONS, 0
    while True:
        np.dot(hessian, offset, out=gradient)
        gradient += centre_gradient
        slope = least_subgradient(centre + offset, gradient, l1, signs) if l1 else gradient
        norm = math.sqrt(slope.dot(slope))
        if stop < norm <= recentre:
            moved = problem.projected(centre + offset)
            offset += centre - moved  # the rounding of the sum, so that the iterate itself does not change
            before += centre - moved
            centre, signs = moved, np.sign(moved)
            centre_gradient = problem.tilted(l1 * signs).gradient(moved.tolist())
            recentre = RECENTRE_AFTER * norm
            continue  # with a gradient that has more right digits
        if iteration == history.next:
            history.append(iteration, problem.projected(centre + offset), norm)
        if norm <= stop:
            if l1 and norm > (limit := _convexity(problem, l1, centre + offset, slope) * plan.target):
                stop = limit  # the terms that are not zero are less convex together than those the plan foresaw
                continue
            status = Status.CONVERGED
            break
        if iteration >= plan.max_iterations:
            break
        if iteration % CLOCK_EVERY == 0:
            tell(iteration, norm)
            if time.monotonic() > deadline:
                status = Status.MAX_SECONDS
                break
        # offset is v; before is the last w
        gradient *= rate
        np.subtract(offset, gradient, out=scratch)  # w
        if l1:
            soft_threshold(scratch, centre, rate * l1, signs)
        offset, scratch = _ahead(scratch, before, offset, momentum)
        iteration += 1
    return _ended(problem, plan, status, history, iteration, centre, offset, l1)


def with_block(solution: Solution, absorbed: Absorbed) -> Solution:
    """The solution of the others' coefficients with those of the absorbed block, which are the best for them.

    The gradient along the block is zero, and each point's loss is that of all coefficients. The distance of all of them
    is at most `stretch` times that of the others, besides the rounding of the block's to float64.
    """
    path = absorbed.along(solution.history_coef_scaled)
    path[-1] = [float(w) for w in absorbed.expanded(solution.coef_scaled.tolist())]
    # that of coefficients as they are published: large ones are rounded by more than nothing
    losses = solution.history_loss.copy()
    losses[-1] = absorbed.loss(path[-1].tolist())
    rounding = EPSILON * float(np.linalg.norm(path[-1]))
    bound = solution.distance_bound * absorbed.stretch * BOUND_MARGIN + rounding
    status = solution.status
    if status is Status.CONVERGED and bound > solution.plan.tolerance:
        status = Status.STALLED
    return replace(
        solution,
        coef_scaled=path[-1],
        status=status,
        distance_bound=bound,
        loss=float(losses[-1]),
        history_coef_scaled=path,
        history_loss=losses,
    )


def _ahead(
    w: NDArray[np.float64], before: NDArray[np.float64], spare: NDArray[np.float64], momentum: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The point v ahead of w, and an array that is free; w becomes `before`."""
    if not momentum:
        return w, spare
    np.subtract(w, before, out=spare)
    before[:] = w
    spare *= momentum
    spare += w
    return spare, w


def _ended(
    problem: LeastSquares,
    plan: Plan,
    status: Status,
    history: "_History",
    iteration: int,
    centre: NDArray[np.float64],
    offset: NDArray[np.float64],
    l1: float,
) -> Solution:
    """The solution at centre + offset, where the gradient is exact once more."""
    point = problem.projected(centre + offset)
    end = [Fraction(c) + Fraction(o) for c, o in zip(centre.tolist(), offset.tolist(), strict=True)]
    signs = np.sign(point)
    slope = least_subgradient(point, problem.tilted(l1 * signs).gradient(end), l1, signs)
    norm = float(np.linalg.norm(slope))
    history.end(iteration, point, norm)
    bound = _distance_bound(problem, _convexity(problem, l1, point, slope), norm, point, (centre - point) + offset)
    if status is Status.CONVERGED and bound > plan.tolerance:
        status = Status.STALLED
    path = np.array(history.points)
    losses = problem.losses(path) + 2 * problem.variance * l1 * np.abs(path).sum(axis=1)
    return Solution(
        coef_scaled=path[-1],
        status=status,
        plan=plan,
        iterations=history.iterations[-1],
        gradient_norm=history.norms[-1],
        distance_bound=bound,
        loss=float(losses[-1]),
        history_iterations=np.array(history.iterations, np.int64),
        history_coef_scaled=path,
        history_loss=losses,
        history_gradient_norm=np.array(history.norms),
    )


def _convexity(problem: LeastSquares, l1: float, point: NDArray[np.float64], slope: NDArray[np.float64]) -> float:
    """The strong convexity mu; with an l1 penalty among the terms that are not zero, or else of all if that is larger.

    The optimum must have no other terms, for the distance bound to hold: what the certificate proves.
    """
    if not l1:
        return problem.strong_convexity
    terms = np.flatnonzero((point != 0) | (slope != 0))
    return max(problem.restricted(terms).strong_convexity, problem.strong_convexity)


def _distance_bound(
    problem: LeastSquares, mu: float, norm: float, point: NDArray[np.float64], rounded_off: NDArray[np.float64]
) -> float:
    """||g|| / mu, plus what rounding the iterate to float64, and projecting it, may add to the distance."""
    bound = norm / mu if mu > 0 else math.inf if norm else 0.0
    rounding = np.linalg.norm(problem.projected(rounded_off))
    left_over = problem.projection_error * np.linalg.norm(point)
    return bound * BOUND_MARGIN + float(rounding + left_over)


class _History:
    """The recorded points of a descent: all of the first ones, later ones evenly in log(iteration)."""

    def __init__(self, max_iterations: int, n_features: int) -> None:
        rows = min(HISTORY_ROWS, max(HISTORY_NUMBERS // max(n_features, 1), LEAST_HISTORY_ROWS))
        self._to_record = iter(recorded_iterations(max_iterations, rows).tolist())
        self.next: int = next(self._to_record)
        self.iterations: list[int] = []
        self.points: list[NDArray[np.float64]] = []
        self.norms: list[float] = []

    def end(self, iteration: int, point: NDArray[np.float64], norm: float) -> None:
        """Record the last step, whichever it is, with the coefficients that are published."""
        if self.iterations[-1] == iteration:
            del self.iterations[-1], self.points[-1], self.norms[-1]
        self.append(iteration, point, norm)

    def append(self, iteration: int, point: NDArray[np.float64], norm: float) -> None:
        """Record a step."""
        self.iterations.append(iteration)
        self.points.append(point)
        self.norms.append(norm)
        self.next = next(self._to_record, -1)


def recorded_iterations(max_iterations: int, rows: int = HISTORY_ROWS) -> NDArray[np.int64]:
    """The steps that a history of so many rows records: all of the first ones, then evenly in log(iteration).

    One row is left for the last step.
    """
    if max_iterations < rows - 1:
        return np.arange(max_iterations + 1)
    # up to step m every step is recorded; then the gap grows as t/m, which makes m·ln(max/m) more steps
    most = dense = rows - 2
    while dense + dense * math.log(max_iterations / dense) > most:
        dense -= 1 + dense // 100
    sparse = np.geomspace(dense, max_iterations, most - dense)
    return distinct(np.concatenate([np.arange(dense), np.rint(sparse).astype(np.int64)]))


def distinct(steps: NDArray[np.int64]) -> NDArray[np.int64]:
    """The distinct values, ascending; `np.unique` would load numpy.ma, which takes as long as most descents."""
    values: NDArray[np.int64] = np.unique_counts(steps).values
    return values
