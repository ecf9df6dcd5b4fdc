"""The ground that a descent went over: what a picture of it needs. The loss is a quadratic, so all of it is exact."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gdpipe.numerics.descent.descent import Solution, distinct
from gdpipe.numerics.descent.plan import expected_excess
from gdpipe.numerics.problem.covariance import Scaling
from gdpipe.numerics.problem.objective import LeastSquares
from gdpipe.numerics.problem.penalty import Penalty

# points of a curve, evenly in the logarithm of the step
MEASURED_POINTS, EXPECTED_POINTS = 200, 60


@dataclass(frozen=True, slots=True, eq=False)
class Plane:
    """The loss over two coordinates: floor + radius² at optimum + axes @ (radius · cos, radius · sin).

    Attributes:
        optimum: Shape (2,).
        axes: Shape (2, 2): it makes ellipses of equal loss out of circles.
        path: The descent, shape (n, 2); the first point is the start.
        floor: The least loss there is, in the target's unit squared.
        direction: The second coordinate's, among standardized coefficients, shape (p,); None where the coordinates are
            weight and bias in original units.
    """

    optimum: NDArray[np.float64]
    axes: NDArray[np.float64]
    path: NDArray[np.float64]
    floor: float
    direction: NDArray[np.float64] | None

    @property
    def radii(self) -> NDArray[np.float64]:
        """The height of each point of the path: √(loss - floor), shape (n,)."""
        circle = np.linalg.solve(self.axes, (self.path - self.optimum).T)
        radii: NDArray[np.float64] = np.sqrt(np.sum(circle**2, axis=0))
        return radii

    @property
    def elongation(self) -> float:
        """The length of an ellipse of equal loss divided by its width, in the plane's own coordinates."""
        lengths = np.linalg.svd(self.axes, compute_uv=False)
        return float(lengths[0] / lengths[1]) if lengths[1] else math.inf

    def ring(self, radius: float, angles: NDArray[np.float64]) -> NDArray[np.float64]:
        """Points of equal loss, floor + radius²; shape (n, 2)."""
        circle: NDArray[np.float64] = radius * np.array([np.cos(angles), np.sin(angles)])
        return self.optimum + (self.axes @ circle).T

    def half_widths(self, radius: float) -> NDArray[np.float64]:
        """Of the box around a ring, shape (2,)."""
        widths: NDArray[np.float64] = radius * np.sqrt(np.sum(self.axes**2, axis=1))
        return widths


@dataclass(frozen=True, slots=True, eq=False)
class Landscape:
    """A descent and its ground.

    Attributes:
        iterations: Steps, shape (n,).
        loss: There, in the target's unit squared, shape (n,); with a penalty 2·variance·penalty is part of it, and of
            all that follows.
        excess: Above the optimum's, evaluated without cancellation, shape (n,).
        expected_iterations: Steps, to the forecast end; shape (m,).
        expected: The excess that was forecast for them, shape (m,).
        floor: The optimum's loss.
        eigenvalues: Of the correlation matrix, ascending, without those of dependent directions; shape (rank,).
        plane: A slice of the loss; None where there is no second direction to slice along, or an l1 penalty, with
            which lines of equal loss are no ellipses.
    """

    iterations: NDArray[np.int64]
    loss: NDArray[np.float64]
    excess: NDArray[np.float64]
    expected_iterations: NDArray[np.int64]
    expected: NDArray[np.float64]
    floor: float
    eigenvalues: NDArray[np.float64]
    plane: Plane | None

    @classmethod
    def of(
        cls,
        problem: LeastSquares,
        solution: Solution,
        optimum: NDArray[np.float64],
        floor: float,
        penalty: Penalty | None = None,
    ) -> "Landscape":
        """From a loss, a descent on it, the optimum, shape (p,), the loss there, and the penalty that is added."""
        quadratic = near = problem
        slack = np.zeros((1, 1))
        kept = _evenly_in_log(solution.history_iterations, MEASURED_POINTS)
        path = solution.history_coef_scaled[kept]
        if penalty is not None:
            quadratic = near = problem.ridge(penalty.l2)
            floor += 2 * problem.variance * penalty.value(optimum)
        if penalty is not None and penalty.l1:
            l1, signs = penalty.l1, np.sign(optimum)
            near = quadratic.tilted(l1 * signs).restricted(np.flatnonzero(optimum))
            # what l1·|w| rises above its tangent at the optimum: nothing where the sign is that of the optimum
            slope = np.where(signs != 0, -l1 * signs, quadratic.gradient(optimum.tolist()))
            slack = np.maximum(l1 * np.abs(path) + slope * path, 0.0)
        away = path - optimum
        last = max(solution.plan.forecast_iterations or 0, solution.iterations)
        ahead = distinct(np.rint(np.geomspace(1, last + 1, EXPECTED_POINTS)).astype(np.int64)) - 1
        return cls(
            iterations=solution.history_iterations[kept],
            loss=solution.history_loss[kept],
            excess=problem.variance * (np.einsum("ij,ij->i", away @ quadratic.hessian, away) + 2 * slack.sum(axis=1)),
            expected_iterations=ahead,
            expected=expected_excess(near, solution.plan, ahead),
            floor=floor,
            eigenvalues=quadratic.eigenvalues,
            plane=_weight_and_bias(path, optimum, floor, problem.scaling)
            if penalty is None and problem.cross.centred and problem.n_features == 1
            else _slice(quadratic, path, optimum, floor)
            if penalty is None or not penalty.l1
            else None,
        )


def _evenly_in_log(iterations: NDArray[np.int64], points: int) -> NDArray[np.intp]:
    """Places of about so many steps, the first and the last among them; in pairs, since descent may zigzag."""
    wanted = np.geomspace(1, iterations[-1] + 1, points) - 1
    first = np.searchsorted(iterations, wanted - 0.5)
    return distinct(np.concatenate([first, first + 1]).clip(max=len(iterations) - 1))


def _weight_and_bias(path: NDArray[np.float64], optimum: NDArray[np.float64], floor: float, scaling: Scaling) -> Plane:
    """One feature, in original units: loss = floor + (scale·dw)² + (db + mean·dw)²."""
    mean, scale = float(scaling.means[0]), float(scaling.scales[0])

    def points(coef_scaled: NDArray[np.float64]) -> NDArray[np.float64]:
        weight = coef_scaled * (scaling.target_scale / scale)
        return np.column_stack([weight, float(scaling.target_mean) - weight * mean])

    axes = np.array([[1 / scale, 0.0], [-mean / scale, 1.0]])
    return Plane(points(optimum)[0], axes, points(path[:, 0]), floor, None)


def _slice(
    problem: LeastSquares, path: NDArray[np.float64], optimum: NDArray[np.float64], floor: float
) -> Plane | None:
    """The plane through start and optimum, and along the steepest direction at right angles to both."""
    distance = float(np.linalg.norm(optimum))
    if not distance or len(problem.eigenvalues) < 2:
        return None
    toward = optimum / distance
    steepest = _steepest_beside(problem, toward)
    basis = np.column_stack([toward, steepest])
    curvature = problem.variance * (basis.T @ problem.hessian @ basis)
    try:
        axes = np.linalg.inv(np.linalg.cholesky(curvature).T)
    except np.linalg.LinAlgError:  # flat to rounding in one direction: no ellipse to draw
        return None
    return Plane(np.array([distance, 0.0]), axes, path @ basis, floor, steepest)


def _steepest_beside(problem: LeastSquares, toward: NDArray[np.float64]) -> NDArray[np.float64]:
    """The unit vector at right angles to another along which the loss rises fastest; shape (p,).

    With c that vector along the eigenvectors it is Σ cᵢ/(λᵢ - μ) modeᵢ, where Σ cᵢ²/(λᵢ - μ) = 0 and μ lies between
    the two largest λ (Golub 1973, SIAM Review 15:318-334, section 1). Where these are alike, or c has no part along
    the last, it lies in the plane of the last two modes.
    """
    sizes, along = problem.eigenvalues, problem.modes.T @ toward
    low, high = float(sizes[-2]), float(sizes[-1])
    found = [problem.modes[:, -1], along[-2] * problem.modes[:, -1] - along[-1] * problem.modes[:, -2]]
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        while low < (middle := (low + high) / 2) < high:
            low, high = (low, middle) if np.sum(along**2 / (sizes - middle)) > 0 else (middle, high)
        found.append(problem.modes @ (along / (sizes - high)))
    beside = [v - (v @ toward) * toward for v in found if np.isfinite(v).all() and v.any()]
    units = [v / length for v in beside if (length := float(np.linalg.norm(v)))]
    best: NDArray[np.float64] = max(units, key=lambda v: float(v @ problem.hessian @ v))
    best -= (best @ toward) * toward
    best *= np.sign(best[np.abs(best).argmax()])
    return best
