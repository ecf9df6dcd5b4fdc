"""Joint tests of features and their generalized VIF, against statsmodels and determinants."""

import math

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf

from gdpipe.design import Category, Feature, Input, Number
from gdpipe.fit import Fit
from tests.numerics.build import Floats, coded, fitted_by_level, one_hot

X, Z = (Number(name, Input(name)) for name in "xz")
A = Category("a", Input("a", levels="text"))
B = Category("C(b)", Input("b", levels="number"))
FEATURES = [Feature((X,)), Feature((A,)), Feature((B,)), Feature((Z,)), Feature((X, A))]


def table(n: int = 600) -> pd.DataFrame:
    rng = np.random.default_rng(3)
    frame = pd.DataFrame({"x": rng.normal(5, 2, n), "z": rng.normal(size=n), "a": rng.choice(list("pqrs"), n)})
    frame["b"] = (frame["x"] + rng.normal(size=n)).round().clip(2, 9).astype(int)
    effect = frame["a"].map({"p": 0.0, "q": 0.3, "r": -0.2, "s": 0.1})
    frame["y"] = 1 + 0.5 * frame["x"] + effect * frame["x"] + rng.normal(size=n)
    return frame


def fit_of(frame: pd.DataFrame, features: list[Feature], **settings: object) -> Fit:
    inputs = dict.fromkeys(factor.input for feature in features for factor in feature.factors)
    columns = [coded(frame[of.column]) if of.levels else frame[of.column].to_numpy(float) for of in inputs]
    return fitted_by_level(features, columns, frame["y"].to_numpy(float), **settings)


def test_the_joint_test_of_each_feature_is_that_of_statsmodels() -> None:
    frame = table()
    found = fit_of(frame, FEATURES).features
    peer = smf.ols("y ~ x + a + C(b) + z + x:a", frame).fit()
    expected = peer.wald_test_terms(scalar=True).table.loc[["x", "a", "C(b)", "z", "x:a"]]
    np.testing.assert_allclose(found.f_statistic, expected["statistic"].astype(float), rtol=1e-8)
    np.testing.assert_allclose(found.f_p_value, expected["pvalue"].astype(float), rtol=1e-8)
    assert found.df.tolist() == expected["df_constraint"].astype(int).tolist() == [1, 3, 7, 1, 3]


def test_the_generalized_vif_is_a_ratio_of_determinants_of_correlations() -> None:
    frame = table()
    fit = fit_of(frame, FEATURES)
    columns = [coded(frame[of.column]) if of.levels else frame[of.column].to_numpy() for of in fit.design.inputs]
    correlations: Floats = np.atleast_2d(np.corrcoef(one_hot(fit.design, columns)))
    for f, of_feature in enumerate(fit.design.slices):
        here = np.arange(len(correlations))[of_feature]
        others = np.setdiff1d(np.arange(len(correlations)), here)
        parts = [np.linalg.det(correlations[np.ix_(at, at)]) for at in (here, others)]
        expected = parts[0] * parts[1] / np.linalg.det(correlations)
        assert fit.features.gvif[f] == pytest.approx(expected, rel=1e-8)
        assert fit.features.gvif_root[f] == pytest.approx(expected ** (1 / 2 / len(here)), rel=1e-8)


def test_a_single_term_has_its_own_t_and_vif() -> None:
    fit = fit_of(table(), FEATURES)
    assert fit.features.f_statistic[3] == fit.terms.t_value[fit.design.slices[3].start + 1] ** 2
    assert fit.features.f_p_value[3] == fit.terms.p_value[fit.design.slices[3].start + 1]
    assert fit.features.gvif[3] == fit.terms.vif[fit.design.slices[3].start + 1]


def test_neither_depends_on_the_reference() -> None:
    frame, other = table(), Category("a", Input("a", levels="text"), reference="r")
    one, two = (fit_of(frame, [Feature((X,)), Feature((a,))]).features for a in (A, other))
    np.testing.assert_allclose(one.f_statistic, two.f_statistic, rtol=1e-10)
    np.testing.assert_allclose(one.gvif, two.gvif, rtol=1e-10)


@pytest.mark.parametrize("collinear", ["min_norm", "drop"])
def test_nested_categories_have_a_test_only_where_terms_are_left_out(collinear: str) -> None:
    frame = table().assign(b=lambda t: t["a"].map({"p": 1, "q": 1, "r": 2, "s": 2}))
    found = fit_of(frame, [Feature((A,)), Feature((B,)), Feature((X,))], collinear=collinear).features
    if collinear == "min_norm":
        assert np.isnan(found.f_statistic[:2]).all()
        assert np.isnan(found.gvif[:2]).all()
    else:
        expected = smf.ols("y ~ a + x", frame).fit().wald_test_terms(scalar=True).table["statistic"].astype(float)
        assert found.f_statistic[0] == pytest.approx(expected["a"], rel=1e-8)
        assert found.df.tolist() == [3, 0, 1]
        assert math.isnan(found.f_statistic[1])
    assert found.f_statistic[2] > 100


def test_no_degree_of_freedom_and_a_perfect_fit() -> None:
    frame = table(600).groupby(["a"]).head(1).reset_index(drop=True)
    assert np.isnan(fit_of(frame, [Feature((A,))]).features.f_statistic).all()
    frame = table().assign(y=lambda t: t["a"].map({"p": 0.0, "q": 1.0, "r": 2.0, "s": 5.0}))
    found = fit_of(frame, [Feature((A,)), Feature((X,))]).features
    assert (found.f_statistic[0], found.f_p_value[0]) == (math.inf, 0.0)
