"""Full-batch gradient descent on standardized coefficients."""

import enum
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from gdpipe.errors import ConfigError
from gdpipe.numerics.descent.agreement import Agreement
from gdpipe.numerics.descent.forecast import forecast
from gdpipe.numerics.descent.history import History
from gdpipe.numerics.problem.objective import LeastSquares

Method = Literal["gd", "accelerated"]

# the gradient is evaluated exactly each time its norm has fallen by this factor, so that float64 always has at least 9
# of its 16 digits for the direction
RECENTRE_AFTER = 1e-7
# steps between two looks at the clock, and between two calls of `tell`
CLOCK_EVERY = 256
# the smallest distance to aim at: an iterate is the sum of two float64 numbers, and has no finer digits
FINEST = 2.0**-80
# float64 rounding of mu and of a norm may make a bound too small by this factor
BOUND_MARGIN = 1 + 1e-5
# the largest accepted gap in standard errors, far below the uncertainty of the data
MAX_GAP_SE = 0.01
# a gap this small is always accepted: data on a line without noise have standard errors of zero
NEGLIGIBLE_GAP = 1e-14


class Status(enum.Enum):
    """The end of a descent; the value is the remedy."""

    CONVERGED = "the distance to the optimum is within tolerance"
    MAX_ITERATIONS = (
        "max_iterations was reached first: allow more steps, or leave out nearly dependent features; "
        "method and learning_rate are fastest 'auto'"
    )
    MAX_SECONDS = "max_seconds ran out first: allow more time, or leave method and learning_rate 'auto'"
    STALLED = "coefficients rounded to float64 cannot come within this tolerance: ask for a larger one"


@dataclass(frozen=True, slots=True)
class GradientDescent:
    """Settings of a descent.

    Attributes:
        method: `gd`, `accelerated`, or `auto`: gd where its forecast fits in max_iterations, otherwise accelerated.
        learning_rate: The factor of the gradient in each step, or `auto`.
        tolerance: Largest accepted distance to the optimum, in standardized units; the descent stops at half of it.
        max_iterations: The most steps.
        max_seconds: The most seconds of the descent alone; None for no limit.
    """

    method: Literal["auto", "gd", "accelerated"] = "auto"
    learning_rate: float | Literal["auto"] = "auto"
    tolerance: float = 1e-8
    max_iterations: int = 100_000
    max_seconds: float | None = None

    def plan(self, problem: LeastSquares, agreement: Agreement | None = None) -> "Plan":
        """The descent for a problem: method and rate are chosen, and the steps forecast.

        Args:
            problem: The loss.
            agreement: The limits of each term. Where they are stricter than the tolerance, the descent goes on until
                they are met.

        Raises:
            ConfigError: The learning rate would diverge.
        """
        limit = 2.0 / problem.lipschitz
        if self.learning_rate != "auto" and self.learning_rate >= limit:
            raise ConfigError(
                f"learning_rate {self.learning_rate:g} would diverge: it must be below 2/L = {limit:.10g} "
                "on these data; learning_rate='auto' finds the best one"
            )
        target = self._distance_aimed_at(agreement)
        if self.method == "gd":
            return self._planned(problem, "gd", target)
        if self.method == "accelerated":
            return self._planned(problem, "accelerated", target)
        plain = self._planned(problem, "gd", target)
        too_fast = self.learning_rate != "auto" and self.learning_rate > 1.0 / problem.lipschitz
        fits = plain.forecast_iterations is not None and plain.forecast_iterations <= self.max_iterations
        if fits or too_fast:
            return plain
        return self._planned(problem, "accelerated", target)

    def _planned(self, problem: LeastSquares, method: Method, target: float) -> "Plan":
        largest, smallest = problem.lipschitz, max(problem.strong_convexity, 0.0)
        rate: float
        if self.learning_rate != "auto":
            rate = self.learning_rate
        elif method == "gd":
            rate = 2.0 / (largest + smallest)  # the best constant rate: both ends of the spectrum shrink equally
        else:
            rate = 1.0 / largest
        momentum = 0.0
        if method == "accelerated":
            if rate > (1 + 1e-12) / largest:
                raise ConfigError(
                    f"learning_rate {rate:g} is too large for method='accelerated': it must be at most "
                    f"1/L = {1 / largest:.10g} on these data; leave it 'auto', or use method='gd'"
                )
            root = math.sqrt(smallest * rate)
            momentum = (1.0 - root) / (1.0 + root)
        stop = smallest * target  # since ||g|| / mu bounds the distance
        steps = forecast(problem, rate, momentum, stop)
        return Plan(method, rate, momentum, stop, steps, self.tolerance, self.max_iterations, self.max_seconds)

    def _distance_aimed_at(self, agreement: Agreement | None) -> float:
        """Half of the least of the tolerance, the terms' limits and a hundredth of the least standard error."""
        aim = self.tolerance
        if agreement is not None:
            aim = min(aim, agreement.distance, max(MAX_GAP_SE * agreement.least_std_error, NEGLIGIBLE_GAP))
        return max(aim / 2, FINEST)


@dataclass(frozen=True, slots=True)
class Plan:
    """A descent that is ready to start.

    Attributes:
        method: `gd` or `accelerated`.
        learning_rate: The constant rate.
        momentum: Nesterov's constant momentum; 0 for gd.
        stop_gradient_norm: The gradient norm at which the descent stops.
        forecast_iterations: Steps until then; None where the descent never gets there.
        tolerance: The setting.
        max_iterations: The setting.
        max_seconds: The setting.
    """

    method: Method
    learning_rate: float
    momentum: float
    stop_gradient_norm: float
    forecast_iterations: int | None
    tolerance: float
    max_iterations: int
    max_seconds: float | None


@dataclass(frozen=True, slots=True, eq=False)
class Solution:
    """The end of a descent and its history.

    Attributes:
        coef_scaled: Shape (p,), target SDs per feature SD.
        status: How the descent ended.
        plan: The descent as it was planned.
        iterations: Steps taken.
        gradient_norm: ||A w - b|| at the end.
        distance_bound: ||g|| / mu plus the rounding of w to float64: at least ||w - w*||, in standardized units;
            infinite where mu cannot be told from zero.
        loss: The loss at the end, in the target's unit squared.
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
    problem: LeastSquares, plan: Plan, tell: Callable[[int, float], None] = lambda step, norm: None
) -> Solution:
    """Descend from zero: v = w + momentum·(w - w_before);  w_next = v - learning_rate · (A v - b).

    With momentum 0 this is the textbook's batch gradient descent; otherwise Nesterov (2018), "Lectures on Convex
    Optimization", scheme 2.2.22 with known L and mu.

    It differs from the textbook in two things:
    1. The iterate is the sum centre + offset, and the gradient is A·offset + gradient(centre), where gradient(centre)
       is exact. The centre moves to the iterate each time the gradient has fallen by 1e-7. This changes only the
       rounding: the gradient has its leading digits until the end.
    2. It stops at a bound of the distance to the optimum, ||g|| / mu, never because progress is small.

    Args:
        problem: The loss.
        plan: The descent as it was planned.
        tell: Called every few hundred steps with the step and the gradient norm there.
    """
    stop, rate, momentum = plan.stop_gradient_norm, plan.learning_rate, plan.momentum
    deadline = math.inf if plan.max_seconds is None else time.monotonic() + plan.max_seconds

    hessian, p = problem.hessian, problem.n_features
    centre = np.zeros(p)
    centre_gradient = problem.gradient(centre.tolist())
    recentre = RECENTRE_AFTER * float(np.linalg.norm(centre_gradient))
    offset, before, gradient, scratch = np.zeros(p), np.zeros(p), np.empty(p), np.empty(p)
    history = History(plan.max_iterations)
    status, iteration = Status.MAX_ITERATIONS, 0
    while True:
        np.dot(hessian, offset, out=gradient)
        gradient += centre_gradient
        norm = math.sqrt(gradient.dot(gradient))
        if stop < norm <= recentre:
            moved = problem.projected(centre + offset)
            offset += centre - moved  # the rounding of the sum, so that the iterate itself does not change
            before += centre - moved
            centre, centre_gradient = moved, problem.gradient(moved.tolist())
            recentre = RECENTRE_AFTER * norm
            continue  # with a gradient that has more right digits
        if iteration == history.next:
            history.append(iteration, problem.projected(centre + offset), norm)
        if norm <= stop:
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
        if momentum:
            np.subtract(scratch, before, out=offset)
            before[:] = scratch
            offset *= momentum
            offset += scratch
        else:
            offset, scratch = scratch, offset
        iteration += 1

    point = problem.projected(centre + offset)
    end = [Fraction(c) + Fraction(o) for c, o in zip(centre.tolist(), offset.tolist(), strict=True)]
    norm = float(np.linalg.norm(problem.gradient(end)))
    history.end(iteration, point, norm)
    bound = _distance_bound(problem, norm, point, (centre - point) + offset)
    if status is Status.CONVERGED and bound > plan.tolerance:
        status = Status.STALLED
    return _solution(problem, plan, status, history, bound)


def _distance_bound(
    problem: LeastSquares, norm: float, point: NDArray[np.float64], rounded_off: NDArray[np.float64]
) -> float:
    """||g|| / mu, plus what rounding the iterate to float64, and projecting it, may add to the distance."""
    mu = problem.strong_convexity
    bound = norm / mu if mu > 0 else math.inf if norm else 0.0
    rounding = np.linalg.norm(problem.projected(rounded_off))
    left_over = problem.projection_error * np.linalg.norm(point)
    return bound * BOUND_MARGIN + float(rounding + left_over)


def _solution(problem: LeastSquares, plan: Plan, status: Status, history: History, bound: float) -> Solution:
    path = np.array(history.points)
    losses = problem.losses(path)
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
