"""Everything that is published beside the coefficients, against statsmodels, on real tables."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from statsmodels.stats.diagnostic import het_breuschpagan
from statsmodels.stats.outliers_influence import variance_inflation_factor
from statsmodels.stats.stattools import durbin_watson, jarque_bera

import gdpipe
from tests.conftest import FLIGHTS


def flights() -> tuple[pd.DataFrame, str]:
    frame = pd.read_parquet(FLIGHTS, filters=[("month", "<=", 3)])
    columns = ["dep_delay", "distance", "air_time", "hour", "day", "arr_delay"]
    return frame[columns].astype(float).dropna().reset_index(drop=True), "arr_delay"


def statecrime() -> tuple[pd.DataFrame, str]:
    return sm.datasets.statecrime.load_pandas().data.astype(float).reset_index(drop=True), "murder"


def fair() -> tuple[pd.DataFrame, str]:
    return sm.datasets.fair.load_pandas().data.astype(float), "affairs"


TABLES: list[Callable[[], tuple[pd.DataFrame, str]]] = [flights, statecrime, fair]


@pytest.mark.parametrize("load", TABLES, ids=lambda f: str(f.__name__))
@pytest.mark.parametrize("intercept", [True, False])
def test_nine_digits(load: Callable[[], tuple[pd.DataFrame, str]], intercept: bool, tmp_path: Path) -> None:
    frame, target = load()
    frame.to_parquet(tmp_path / "data.parquet")
    source, output = str(tmp_path / "data.parquet"), str(tmp_path / "runs")
    run = gdpipe.train(source=source, target=target, output=output, tolerance=1e-13, fit_intercept=intercept)
    features = frame.drop(columns=target)
    X = sm.add_constant(features) if intercept else features
    fit = sm.OLS(frame[target], X).fit()
    ours = run.parameters.set_index("term").rename(index={"intercept": "const"}).loc[X.columns]
    interval = fit.conf_int()
    for column, theirs in {
        "estimate": fit.params,
        "ols_estimate": fit.params,
        "std_error": fit.bse,
        "t_value": fit.tvalues,
        "p_value": fit.pvalues,
        "ci_lower": interval[0],
        "ci_upper": interval[1],
        "std_error_hc1": fit.get_robustcov_results("HC1").bse,
    }.items():
        np.testing.assert_allclose(ours[column], theirs, rtol=1e-9, err_msg=column)
    metrics = run.metrics.iloc[0]
    statistic, p_value, skewness, kurtosis = jarque_bera(fit.resid)
    expected = {
        "r2": fit.rsquared,
        "adjusted_r2": fit.rsquared_adj,
        "rmse": np.sqrt(fit.ssr / fit.nobs),
        "mae": fit.resid.abs().mean(),
        "residual_std_error": np.sqrt(fit.mse_resid),
        "f_statistic": fit.fvalue,
        "f_p_value": fit.f_pvalue,
        "log_likelihood": fit.llf,
        "aic": fit.aic,
        "bic": fit.bic,
        "durbin_watson": durbin_watson(fit.resid),
        "jarque_bera": statistic,
        "jarque_bera_p_value": p_value,
        "skewness": skewness,
        "kurtosis": kurtosis,
    }
    if intercept:
        expected["breusch_pagan"], expected["breusch_pagan_p_value"] = het_breuschpagan(fit.resid, X)[:2]
        vif = [variance_inflation_factor(X.to_numpy(), j) for j in range(1, X.shape[1])]
        np.testing.assert_allclose(ours["vif"].iloc[1:], vif, rtol=1e-9)
    for name, value in expected.items():
        assert metrics[name] == pytest.approx(value, rel=1e-9), name
    assert metrics["r2_kind"] == ("centred" if intercept else "uncentred")


def test_dependent_columns_have_the_numbers_of_the_model_without_them(tmp_path: Path) -> None:
    frame, target = statecrime()
    frame.assign(twice=2 * frame["single"] - 1, flat=7.0).to_parquet(tmp_path / "data.parquet")
    run = gdpipe.train(source=str(tmp_path / "data.parquet"), target=target, output=str(tmp_path / "runs"))
    fit = sm.OLS(frame[target], sm.add_constant(frame.drop(columns=target))).fit()
    ours = run.parameters.set_index("term")
    shared = ["violent", "hs_grad", "poverty", "white", "urban"]
    np.testing.assert_allclose(ours.loc[shared, "ols_estimate"], fit.params[shared], rtol=1e-9)
    np.testing.assert_allclose(ours.loc[shared, "std_error"], fit.bse[shared], rtol=1e-9)
    assert ours.loc[["single", "twice", "flat"], "std_error"].isna().all()
    assert ours["status"].to_dict() == {
        "intercept": "ok",
        **dict.fromkeys(shared, "ok"),
        "single": "dependent",
        "twice": "dependent",
        "flat": "constant",
    }
    assert run.convergence["rank"][0] == len(shared) + 1
    assert run.convergence["dependencies"][0].tolist() == ["flat is constant (7)", "twice = 2 single - 1"]
    assert run.metrics["f_statistic"][0] == pytest.approx(fit.fvalue, rel=1e-9)
    assert run.metrics["r2"][0] == pytest.approx(fit.rsquared, rel=1e-9)
