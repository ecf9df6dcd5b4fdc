"""NIST's certified values, through the whole program."""

import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

import gdpipe
from gdpipe.numerics.problem.dependencies import solve_exactly
from tests.certified.nist import ALL, Reference, filip
from tests.runs import train_on

# the descent stops within the tolerance in standardized units, and a small coefficient among large ones needs more
# of its digits: Wampler's first weighs 6e-6 target SDs
TOLERANCE = 2e-15


def train(reference: Reference, folder: Path, **settings: object) -> gdpipe.Run:
    columns = {f"x{j}": x for j, x in enumerate(reference.X.T)} | {"y": reference.y}
    return train_on(folder, columns, fit_intercept=reference.fit_intercept, **settings)


def digits(value: float, certified: float) -> float:
    """Correct digits, as NIST counts them: -log10 of the relative error (McCullough 1998)."""
    error = abs(value - certified) / abs(certified)
    return math.inf if error == 0 else -math.log10(error)


@pytest.mark.parametrize("name", ALL)
def test_certified_values(name: str, tmp_path: Path) -> None:
    reference = ALL[name]()
    table = train(reference, tmp_path, tolerance=TOLERANCE, max_iterations=1_000_000).parameters
    for row, estimate, std_error in zip(table.to_dict("records"), reference.estimate, reference.std_error, strict=True):
        assert digits(row["ols_estimate"], estimate) >= reference.digits, row["term"]
        assert digits(row["estimate"], estimate) >= 9, row["term"]
        if std_error:
            assert digits(row["std_error"], std_error) >= 12, row["term"]
        else:
            assert row["std_error"] < 1e-12


@pytest.mark.parametrize("name", ALL)
def test_each_estimate_agrees_at_the_default_tolerance(name: str, tmp_path: Path) -> None:
    reference = ALL[name]()
    table = train(reference, tmp_path).parameters
    for found, estimate, std_error in zip(table["estimate"], reference.estimate, reference.std_error, strict=True):
        # nine digits, or a thousandth of the standard error
        assert abs(found - estimate) <= max(1.001e-9 * abs(estimate), 1e-3 * std_error)


def test_a_condition_number_beyond_float64_has_the_right_baseline_and_an_honest_descent(tmp_path: Path) -> None:
    reference = filip()
    with pytest.raises(gdpipe.ConvergenceError, match="stopped after 100,000 steps") as caught:
        train(reference, tmp_path)
    evidence = gdpipe.run.Run.at(Path(caught.value.evidence))
    assert evidence.convergence["condition_number"][0] > 1e15
    # the same normal equations in fractions, from the rows
    rows = [[Fraction(1), *map(Fraction, row)] for row in reference.X.tolist()]
    right = list(map(Fraction, reference.y.tolist()))
    scale = Fraction(2) ** 300
    square = [[int(scale * sum(r[i] * r[j] for r in rows)) for j in range(11)] for i in range(11)]
    against = [[int(scale * sum(r[i] * y for r, y in zip(rows, right, strict=True)))] for i in range(11)]
    exact = solve_exactly(np.array(square, object), np.array(against, object))[:, 0]
    found = evidence.parameters["ols_estimate"]
    # values are rounded to the grid at 2^-62 of the column's maximum before they are summed
    assert min(digits(f, float(e)) for f, e in zip(found, exact, strict=True)) > 6
