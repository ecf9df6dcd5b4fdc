"""The plan of a descent: its method, its rate, and its steps, since a quadratic tells its gradients in advance."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from gdpipe.errors import ConfigError
from gdpipe.numerics.descent.agreement import Agreement
from gdpipe.numerics.problem.absorbed import Absorbed
from gdpipe.numerics.problem.objective import LeastSquares

Method = Literal["gd", "accelerated"]

# the smallest distance to aim at: an iterate is the sum of two float64 numbers, and has no finer digits
FINEST = 2.0**-80
# the largest accepted gap in standard errors, far below the uncertainty of the data
MAX_GAP_SE = 0.01
# a gap this small is always accepted: data on a line without noise have standard errors of zero
NEGLIGIBLE_GAP = 1e-14
FORECAST_LIMIT = 2**53
# operations of a descent that nobody waits for: about half a second of them. `make bench` (test_steps) prints how many
# there are in a second: 3·10^9 to 7·10^9 at 20 to 1,000 features, on one of two shared cores
UNNOTICED = 3e9
# a step's calls of NumPy take as long as so many operations
CALL_OPERATIONS = 20_000
# accelerated descent is taken in place of a plain one that arrives where it takes at most this part of the steps
CLEARLY_FEWER = 0.5


@dataclass(frozen=True, slots=True)
class GradientDescent:
    """Settings of a descent.

    Attributes:
        method: `gd`, `accelerated`, or `auto`: gd where its forecast fits in max_iterations and about half a second;
            where only the time is too long, accelerated must halve the steps to be taken.
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

    def plan(self, whole: LeastSquares | Absorbed, agreement: Agreement | None = None) -> "Plan":
        """The descent for a problem: method and rate are chosen, and the steps forecast.

        Where the limits in `agreement` are stricter than the tolerance, the descent goes on until they are met.

        Raises:
            ConfigError: The learning rate would diverge.
        """
        problem, stretch = (whole.within, whole.stretch) if isinstance(whole, Absorbed) else (whole, 1.0)
        limit = 2.0 / problem.lipschitz
        if self.learning_rate != "auto" and self.learning_rate >= limit:
            raise ConfigError(
                f"learning_rate {self.learning_rate:g} would diverge: it must be below 2/L = {limit:.10g} "
                "on these data; learning_rate='auto' finds the best one"
            )
        # half of the least of the tolerance, the terms' limits and a hundredth of the least standard error
        aim = self.tolerance
        if agreement is not None:
            aim = min(aim, agreement.distance, max(MAX_GAP_SE * agreement.least_std_error, NEGLIGIBLE_GAP))
        target = max(aim / stretch / 2, FINEST)
        if self.method != "auto":
            return self._planned(problem, self.method, target)
        plain = self._planned(problem, "gd", target)
        too_fast = self.learning_rate != "auto" and self.learning_rate > 1.0 / problem.lipschitz
        steps = math.inf if plain.forecast_iterations is None else plain.forecast_iterations
        fits = steps <= self.max_iterations
        if too_fast or (fits and operations(problem.n_features, steps) <= UNNOTICED):
            return plain
        accelerated = self._planned(problem, "accelerated", target)
        fewer = (accelerated.forecast_iterations or math.inf) <= CLEARLY_FEWER * steps
        return accelerated if fewer or not fits else plain

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
        return Plan(method, rate, momentum, target, stop, steps, self.tolerance, self.max_iterations, self.max_seconds)


@dataclass(frozen=True, slots=True)
class Plan:
    """A descent that is ready to start.

    Attributes:
        method: `gd` or `accelerated`.
        learning_rate: The constant rate.
        momentum: Nesterov's constant momentum; 0 for gd.
        target: The distance to the optimum at which the descent stops, in standardized units.
        stop_gradient_norm: The gradient norm at which the descent stops.
        forecast_iterations: Steps until then; None where the descent never gets there.
        tolerance: As in the settings.
        max_iterations: As in the settings.
        max_seconds: As in the settings.
    """

    method: Method
    learning_rate: float
    momentum: float
    target: float
    stop_gradient_norm: float
    forecast_iterations: int | None
    tolerance: float
    max_iterations: int
    max_seconds: float | None


def operations(n_features: int, steps: float) -> float:
    """The cost of some steps in floating-point operations: 2p² for each step's product, and its calls of NumPy."""
    return steps * (2.0 * n_features**2 + CALL_OPERATIONS)


def forecast(problem: LeastSquares, rate: float, momentum: float, stop: float) -> int | None:
    """The number of steps until ||g|| <= stop; None if that never happens."""

    def norm_after(steps: int) -> float:
        with np.errstate(over="ignore", invalid="ignore"):
            norm = float(np.linalg.norm(_gradients_after(problem, rate, momentum, steps)))
        return norm if math.isfinite(norm) else math.inf

    if norm_after(0) <= stop:
        return 0
    if stop <= 0:
        return None
    high = 1
    while norm_after(high) > stop:
        high *= 2
        if high > FORECAST_LIMIT:
            return None
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if norm_after(middle) <= stop else (middle, high)
    return high


def expected_excess(problem: LeastSquares, plan: Plan, steps: NDArray[np.int64]) -> NDArray[np.float64]:
    """The loss above its optimum after t steps from zero, in the target's unit squared; shape as `steps`, (n,).

    It is variance · Σ gᵢ(t)² / λᵢ over the eigenvectors.
    """
    gradients = np.array([_gradients_after(problem, plan.learning_rate, plan.momentum, t) for t in steps.tolist()])
    positive = problem.eigenvalues > 0  # others are nothing but rounding
    with np.errstate(over="ignore", invalid="ignore"):
        excess: NDArray[np.float64] = gradients[:, positive] ** 2 @ (1.0 / problem.eigenvalues[positive])
    return excess * problem.variance


def _gradients_after(problem: LeastSquares, rate: float, momentum: float, steps: int) -> NDArray[np.float64]:
    """The gradient along each eigenvector after some steps from zero, shape (rank,).

    It is the gradient that the descent computes: with momentum, at the point v ahead of the iterate.
    """
    start: NDArray[np.float64] = problem.modes.T @ problem.linear
    taken = rate * problem.eigenvalues
    with np.errstate(over="ignore", under="ignore", divide="ignore", invalid="ignore"):
        if not steps:
            return start
        if not momentum:
            size = np.exp(steps * np.log1p(-np.minimum(taken, 2 - taken)))  # of (1 - taken)^steps
            gradients: NDArray[np.float64] = start * np.where(taken > 1, -1.0, 1.0) ** (steps % 2) * size
            return gradients
        now, before = _remaining(taken, momentum, steps), _remaining(taken, momentum, steps - 1)
        return start * ((1 + momentum) * now - momentum * before)


def _remaining(taken: NDArray[np.float64], momentum: float, steps: int) -> NDArray[np.float64]:
    """The part e(t) of the distance that is left along each eigenvector, shape (rank,), where e(0) = e(-1) = 1.

    The roots of e(t+1) = (1 + m)·s·e(t) - m·s·e(t-1), with s = 1 - rate·λ, have modulus r = √(m·s) and angle a:
    e(t) = rᵗ·(cos ta + s·(1 - m)/(2r) · sin ta / sin a). Nesterov's momentum is made for the least λ: its root is a
    double one, and those of all others are complex. The closed form is right where rate·λ is near 1e-16, too; powers of
    the recurrence's matrix are not.
    """
    taken = np.minimum(taken, 1 - np.finfo(np.float64).eps)
    shrink = 1.0 - taken
    lag = 1.0 - momentum
    modulus = np.sqrt(momentum * shrink)
    sine = np.sqrt(np.maximum(shrink * ((1 + momentum) ** 2 * taken - lag**2), 0.0)) / (2 * modulus)
    angle = np.arctan2(sine, (1 + momentum) * shrink / (2 * modulus))
    turned = np.where(sine > 0, np.sin(steps * angle) / sine, float(steps))
    power = np.exp(steps * (np.log1p(-lag) + np.log1p(-taken)) / 2)
    remaining: NDArray[np.float64] = power * (np.cos(steps * angle) + shrink * lag / (2 * modulus) * turned)
    return remaining
