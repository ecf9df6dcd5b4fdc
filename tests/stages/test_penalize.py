"""Penalize: the alpha that the folds choose, and runs with a penalty, proven against the rows and scikit-learn."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from sklearn.linear_model import ElasticNet, Lasso, Ridge

import gdpipe
from gdpipe.config import TrainingConfig
from gdpipe.errors import ConfigError, ConvergenceError, DataError
from gdpipe.stages.penalize import penalize
from tests.conftest import FEATURES, FLIGHTS, write_parquet
from tests.numerics.build import moments
from tests.stages.build import Stages


def sparse_columns(n: int = 400, p: int = 8, seed: int = 3) -> dict[str, Any]:
    """Columns x0 to x(p - 1), which resemble each other, and y, which three of them make with noise."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, p)) + 0.5 * rng.normal(size=(n, 1))
    y = 3 * X[:, 0] - 2 * X[:, 1] + X[:, 2] + rng.normal(0.0, 2.0, n)
    return {**{f"x{j}": X[:, j] for j in range(p)}, "y": y}


def trained(folder: Path, columns: dict[str, Any], **settings: Any) -> gdpipe.Run:
    source = write_parquet(folder / "data.parquet", columns)
    return gdpipe.train(source=source, target="y", output=folder / "runs", **settings)


def standardized(columns: dict[str, Any]) -> tuple[Any, Any]:
    *X, y = (np.asarray(column) for column in columns.values())
    rows = np.array([(x - x.mean()) / x.std() for x in [*X, y]])
    return rows[:-1].T, rows[-1]


@pytest.mark.parametrize(
    ("settings", "theirs"),
    [
        ({"penalty": "lasso", "alpha": 0.1}, Lasso(0.1, tol=1e-14, max_iter=10**6)),
        (
            {"penalty": "elastic_net", "alpha": 0.1, "l1_ratio": 0.3},
            ElasticNet(0.1, l1_ratio=0.3, tol=1e-14, max_iter=10**6),
        ),
        ({"penalty": "ridge", "alpha": 0.1}, Ridge(400 * 0.1, tol=1e-14)),
    ],
    ids=["lasso", "elastic_net", "ridge"],
)
def test_a_run_has_the_coefficients_of_scikit_learn_and_a_proof(
    tmp_path: Path, settings: dict[str, Any], theirs: Any
) -> None:
    columns = sparse_columns()
    run = trained(tmp_path, columns, **settings)
    Z, target = standardized(columns)
    expected = theirs.fit(Z, target)
    terms, [verdict] = run.parameters, run.convergence.to_dict("records")
    np.testing.assert_allclose(terms["estimate_scaled"][1:], expected.coef_, rtol=0, atol=1e-8)
    np.testing.assert_allclose(terms["optimum_estimate"], terms["estimate"], rtol=0, atol=1e-7)
    assert np.isnan(terms[["std_error", "t_value", "p_value", "ci_lower", "ci_upper", "std_error_hc1"]]).all(axis=None)
    assert np.isfinite(terms["vif"][1:]).all()
    assert verdict["passed"]
    assert verdict["proof"] == "KKT conditions hold in rational arithmetic"
    assert (verdict["penalty"], verdict["alpha"]) == (settings["penalty"], 0.1)
    assert verdict["nonzero"] == np.count_nonzero(expected.coef_)
    loss = float(np.mean((target - expected.predict(Z)) ** 2) * np.var(columns["y"]))
    assert verdict["loss"] == pytest.approx(loss, rel=1e-7)
    [quality] = run.metrics.to_dict("records")
    assert quality["rmse"] == pytest.approx(loss**0.5, rel=1e-7)
    assert np.isnan(quality["aic"])
    # the history is of what the descent lowers
    end, start = run.loss_history["loss"].iloc[-1], run.loss_history["loss"].iloc[0]
    w, penalty = terms["estimate_scaled"][1:].to_numpy(), settings["penalty"]
    ratio = {"lasso": 1.0, "ridge": 0.0}.get(penalty, 0.3)
    added = 0.1 * (ratio * np.abs(w).sum() + (1 - ratio) / 2 * w @ w)
    assert end == pytest.approx(loss + 2 * np.var(columns["y"]) * added, rel=1e-6)
    assert start == pytest.approx(np.var(columns["y"]))
    chosen = run.path[run.path["chosen"]]
    assert chosen["alpha"].tolist() == [0.1]
    np.testing.assert_allclose(chosen["estimate_scaled"].iloc[0], w, rtol=0, atol=1e-7)
    assert "There are no standard errors" in (run.folder / "report.html").read_text()


def test_the_alphas_that_folds_choose_are_those_of_refits_on_rows(tmp_path: Path) -> None:
    columns = sparse_columns()
    stages = Stages(tmp_path, columns, {"penalty": "lasso"})
    ingested, regression = stages.posed()
    parts = np.arange(400) * 5 // 400
    rows = np.array([columns[name] for name in columns])
    ingested = replace(ingested, by_fold=tuple(moments(rows[:, parts == k]) for k in range(5)))
    found = penalize(stages.config, ingested, regression)
    assert found.path is not None
    assert found.path.errors is not None
    alphas, errors = found.path.optima.alphas, []
    for k in range(5):
        train, test = rows[:, parts != k], rows[:, parts == k]
        mean, scale = train.mean(axis=1, keepdims=True), train.std(axis=1, keepdims=True)
        train, test = (train - mean) / scale, (test - mean) / scale
        fits = [Lasso(alpha, tol=1e-12, max_iter=10**6).fit(train[:-1].T, train[-1]) for alpha in alphas[:60:10]]
        errors.append([np.mean((test[-1] - fit.predict(test[:-1].T)) ** 2) * scale[-1, 0] ** 2 for fit in fits])
        assert found.path.of_folds[k] is not None
    np.testing.assert_allclose(found.path.errors.mse[:60:10], np.mean(errors, axis=0), rtol=1e-9)
    assert found.regression.penalty == found.path.penalty
    assert found.path.place == found.path.errors.least
    later = penalize(replace(stages.config, alpha="auto_1se"), ingested, regression)
    assert later.path is not None
    assert later.path.place == found.path.errors.one_std_error < found.path.errors.least


def test_without_folds_there_is_nothing_to_choose_by(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"alpha auto: is chosen by the error on unseen rows, and folds is 0"):
        TrainingConfig(source="X", target="y", penalty="ridge", folds=0)
    stages = Stages(tmp_path, settings={"penalty": "ridge"})
    ingested, regression = stages.posed()
    with pytest.raises(
        DataError, match=r"data\.parquet: alpha auto is chosen by .* there are no folds; or give .* number"
    ):
        penalize(stages.config, replace(ingested, by_fold=()), regression)
    assert penalize(replace(stages.config, penalty="none"), ingested, regression).path is None


def test_a_run_chooses_by_its_folds_and_says_their_error(tmp_path: Path) -> None:
    run = trained(tmp_path, sparse_columns(), penalty="lasso", alpha="auto_1se", fold_by=["x0"])
    path, [verdict], [quality] = run.path, run.convergence.to_dict("records"), run.metrics.to_dict("records")
    [chosen] = path[path["chosen"]].to_dict("records")
    assert chosen["one_std_error"]
    assert chosen["alpha"] == verdict["alpha"] > path["alpha"][path["least"]].item()
    assert chosen["cv_rmse"] <= (path["cv_rmse"] + path["cv_rmse_se"])[path["least"]].item() * 1.001
    assert quality["cv_rmse"] == pytest.approx(chosen["cv_rmse"], rel=1e-9)
    assert quality["cv_rmse_se"] == pytest.approx(chosen["cv_rmse_se"], rel=1e-6)
    assert "Error on unseen rows along the path" in (run.folder / "report.html").read_text()
    # the same choice from kept sums
    again = run.refit()
    assert again.path is not None
    np.testing.assert_array_equal(again.parameters["estimate"], run.parameters["estimate"])
    np.testing.assert_array_equal(again.tables()["path"]["cv_rmse"], path["cv_rmse"])


@pytest.mark.parametrize("penalty", ["lasso", "ridge"])
def test_an_alpha_at_an_end_of_the_path_has_a_notice(tmp_path: Path, penalty: Any) -> None:
    rng = np.random.default_rng(2)
    columns: dict[str, Any] = {"x": rng.normal(size=400), "z": rng.normal(size=400)}
    exact = {**columns, "y": columns["x"] + columns["z"]}
    least = trained(tmp_path, exact, penalty=penalty)
    assert least.path["chosen"].iloc[-1]
    assert any(
        line.startswith("alpha auto is ") and "the least of the path" in line for line in least.manifest["notices"]
    )
    assert "the least of the path" in least.refit(alpha="auto").summary()
    assert not any(
        "of the path" in line for line in trained(tmp_path, exact, penalty=penalty, alpha=0.1).manifest["notices"]
    )
    noise = {**columns, "y": rng.normal(size=400)}
    largest = trained(tmp_path / "noise", noise, penalty=penalty, alpha="auto_1se")
    assert largest.path["chosen"].iloc[0]
    assert any(
        "alpha auto_1se is" in line and "the largest of the path" in line for line in largest.manifest["notices"]
    )


@pytest.mark.parametrize("penalty", ["ridge", "lasso", "elastic_net"])
@pytest.mark.parametrize("alpha", [1e-30, 1e10, 1e30])
def test_the_weakest_and_the_strongest_penalties(penalty: Any, alpha: float, tmp_path: Path) -> None:
    columns = sparse_columns(100, 4)
    run = trained(tmp_path, columns, penalty=penalty, alpha=alpha, report=False)
    expected = trained(tmp_path / "ols", columns, report=False).parameters["estimate"][1:] if alpha < 1 else 0.0
    np.testing.assert_allclose(run.parameters["estimate"][1:], expected, rtol=1e-7, atol=1e-7)
    for beyond in (alpha / 1.1 if alpha < 1 else alpha * 1.1,):
        if alpha != 1e10:
            with pytest.raises(
                ConfigError, match=r"must be a number from 1e-30 up to 1e\+30, or one of auto, auto_1se"
            ):
                trained(tmp_path, columns, penalty=penalty, alpha=beyond)


def test_a_descent_that_is_cut_short_does_not_pass(tmp_path: Path) -> None:
    with pytest.raises(ConvergenceError, match=r"stopped after 2 steps"):
        trained(tmp_path, sparse_columns(), penalty="lasso", alpha=0.01, method="gd", max_iterations=2, run_id="r1")
    rejected = gdpipe.Run.at(tmp_path / "runs" / "rejected" / "r1")
    assert rejected.manifest["forecasts"]
    assert "What to try next" in (rejected.folder / "report.html").read_text()


@pytest.mark.parametrize(
    "settings",
    [
        {"penalty": "lasso", "alpha": "auto", "weight": "w"},
        {"penalty": "elastic_net", "alpha": "auto_1se", "fit_intercept": False},
        {"penalty": "ridge", "alpha": 0.1, "weight": "w", "fit_intercept": False},
        {"penalty": "elastic_net", "alpha": 0.05},
    ],
    ids=["weights", "no intercept", "weights, no intercept", "neither"],
)
def test_any_layout_and_processes_have_the_same_bits_and_the_coefficients_of_scikit_learn(
    tmp_path: Path, settings: dict[str, Any]
) -> None:
    columns = sparse_columns(p=4)
    columns = {"w": np.random.default_rng(9).integers(1, 4, 400), **columns}
    found, weight = [], settings.get("weight")
    # the penalty has no part in what processes do: one kind shows it
    processes = 2 if settings["penalty"] == "lasso" else 1
    layouts: tuple[tuple[list[int], Any], ...] = (([400], 1), ([150, 250], processes), ([1, 99, 300], 1))
    for part, (cuts, workers) in enumerate(layouts):
        folder, start = tmp_path / str(part), 0
        for n in cuts:
            some = {name: values[start : start + n] for name, values in columns.items()}
            write_parquet(folder / "data" / f"{start:03}.parquet", some, row_group_size=70)
            start += n
        run = gdpipe.train(
            source=folder / "data",
            target="y",
            features=[f"x{j}" for j in range(4)],
            output=folder / "runs",
            workers=workers,
            **settings,
        )
        tables = ("parameters", "path", "convergence", "folds", "metrics")
        found.append([pq.read_table(run.folder / f"{name}.parquet").to_pylist() for name in tables])
    assert repr(found[0]) == repr(found[1]) == repr(found[2])
    # scikit-learn's, with the scales of the run: about the mean, or about zero without an intercept
    [verdict], weights = run.convergence.to_dict("records"), columns["w"] if weight else np.ones(400)
    assert verdict["passed"]
    rows = np.array([columns[name] for name in (*(f"x{j}" for j in range(4)), "y")])
    if settings.get("fit_intercept", True):
        rows = rows - np.average(rows, axis=1, weights=weights)[:, None]
    rows /= np.sqrt(np.average(rows**2, axis=1, weights=weights))[:, None]
    alpha, exact = verdict["alpha"], {"fit_intercept": False, "tol": 1e-14}
    theirs: Any = Ridge(alpha * weights.sum(), **exact)
    if settings["penalty"] != "ridge":
        theirs = ElasticNet(alpha, l1_ratio=verdict["l1_ratio"], max_iter=10**6, **exact)
    theirs.fit(rows[:-1].T, rows[-1], sample_weight=weights)
    w = run.parameters.set_index("term")["estimate_scaled"][[f"x{j}" for j in range(4)]]
    np.testing.assert_allclose(w, theirs.coef_, rtol=0, atol=1e-8)


def test_a_hundred_terms_and_two_that_are_alike_are_proven(tmp_path: Path) -> None:
    columns = sparse_columns(600, 100)
    run = trained(tmp_path, {"twin": columns["x0"], **columns}, penalty="lasso", alpha=0.05, folds=0)
    [verdict] = run.convergence.to_dict("records")
    assert verdict["proof"] == "KKT conditions hold in rational arithmetic"
    assert "other coefficients of dependent terms are as good" in run.manifest["verdict"]["reason"]
    assert np.isnan(verdict["coef_gap"])
    assert verdict["fit_gap"] < 1e-7
    run = trained(tmp_path, {"twin": columns["x0"], **columns}, penalty="ridge", alpha=0.05, folds=0)
    terms = run.parameters.set_index("term")["estimate"]
    assert terms["twin"] == pytest.approx(terms["x0"], rel=1e-6)


def test_flights_with_a_category(tmp_path: Path) -> None:
    features = [*FEATURES, "carrier"]
    run = gdpipe.train(
        source=FLIGHTS, target="arr_delay", features=features, output=tmp_path / "runs", penalty="lasso", alpha=0.02
    )
    [verdict] = run.convergence.to_dict("records")
    assert (verdict["passed"], verdict["nonzero"]) == (True, 6)
    assert 0 < verdict["row_gradient"] < 1e-7
    again = gdpipe.train(
        source=FLIGHTS, target="arr_delay", features=features, output=tmp_path / "runs", penalty="ridge", alpha=0.1
    )
    assert any("another penalty: lasso, alpha 0.02" in line for line in again.manifest["drift"]["differences"])
