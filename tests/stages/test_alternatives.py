"""Forecasts of settings that a run did not have: each is what a descent with them takes."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gdpipe.fit import fit, planned
from gdpipe.numerics.descent.descent import Status, minimize
from gdpipe.stages.alternatives import Forecast, alternatives
from gdpipe.stages.standardize import standardize
from tests.stages.records import summed

NAN = float("nan")


def alike(n: int = 400) -> dict[str, Any]:
    """Two features that say nearly the same, and one that does not."""
    rng = np.random.default_rng(0)
    a, c = rng.normal(size=(2, n))
    b = a + 0.1 * rng.normal(size=n)
    return {"a": a, "b": b, "c": c, "y": a + b + c + rng.normal(size=n)}


def forecasts(folder: Path, columns: dict[str, Any], vif: list[float], **settings: Any) -> tuple[Forecast, ...]:
    config, ingested = summed(folder, columns, **settings)
    found = fit(ingested.moments, ingested.columns.design, config)
    features = dataclasses.replace(found.features, gvif=np.array(vif))
    return alternatives(config, dataclasses.replace(found, features=features))


def test_each_forecast_is_what_a_descent_takes(tmp_path: Path) -> None:
    found = forecasts(tmp_path, alike(), [2e4, 1e4, 1.0], tolerance=1e-10)
    assert [(f.method, f.tolerance, f.without) for f in found] == [
        ("gd", 1e-10, None),
        ("accelerated", 1e-10, None),
        ("gd", 1e-8, None),
        ("accelerated", 1e-8, None),
        ("gd", 1e-10, "a"),
        ("accelerated", 1e-10, "a"),
    ]
    for forecast in found:
        columns = {name: values for name, values in alike().items() if name != forecast.without}
        config, ingested = summed(tmp_path, columns)
        regression = standardize(config, ingested)
        settings = {"method": forecast.method, "tolerance": forecast.tolerance, "max_iterations": 10**7}
        solution = minimize(regression.problem, planned(regression, dataclasses.replace(config, **settings)))  # type: ignore[arg-type]  # each setting has a type of its own
        assert solution.status is Status.CONVERGED
        # momentum makes the gradient norm oscillate about its trend
        spread = 0.0 if forecast.method == "gd" else 0.05
        assert solution.iterations == pytest.approx(forecast.iterations, abs=1, rel=spread)
    # b alone with c is nearly a circle
    steps = {(f.method, f.tolerance, f.without): f.iterations or 0 for f in found}
    assert 50 * steps["gd", 1e-10, "a"] < steps["gd", 1e-10, None]


@pytest.mark.parametrize(
    ("vif", "without"),
    [([1.0, 11.0, 12.0], "c"), ([NAN, 11.0, NAN], "b"), ([10.0, 10.0, 1.0], None), ([NAN, NAN, NAN], None)],
)
def test_the_feature_with_the_largest_vif_above_ten_is_left_out(
    vif: list[float], without: str | None, tmp_path: Path
) -> None:
    found = forecasts(tmp_path, alike(), vif)
    assert {f.without for f in found} == ({None, without} if without else {None})


def test_an_only_feature_is_not_left_out(tmp_path: Path) -> None:
    columns = {name: values for name, values in alike().items() if name in {"a", "y"}}
    assert {f.without for f in forecasts(tmp_path, columns, [99.0])} == {None}


def test_where_features_depend_none_is_left_out(tmp_path: Path) -> None:
    columns = alike()
    found = forecasts(tmp_path, {**columns, "twin": 2 * columns["a"]}, [99.0, 99.0, 99.0, 99.0])
    assert {f.without for f in found} == {None}


@pytest.mark.parametrize(("tolerance", "tolerances"), [(1e-5, {1e-5, 1e-3}), (1.01e-5, {1.01e-5}), (1e-2, {1e-2})])
def test_a_tolerance_that_would_mean_nothing_is_not_forecast(
    tolerance: float, tolerances: set[float], tmp_path: Path
) -> None:
    # 30 rows: standard errors so large that no term is held to less than the tolerance
    found = forecasts(tmp_path, alike(30), [1.0, 1.0, 1.0], tolerance=tolerance)
    assert {f.tolerance for f in found} == tolerances


def test_what_no_term_may_use_is_not_forecast_twice(tmp_path: Path) -> None:
    # standard errors of a millionth hold the terms to less than either tolerance: the steps are the same
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 400))
    columns = {"a": x[0], "b": x[1], "y": x.sum(axis=0) + 1e-6 * rng.normal(size=400)}
    found = forecasts(tmp_path, columns, [1.0, 1.0], tolerance=1e-6)
    assert [f.tolerance for f in found] == [1e-6, 1e-6]
