"""A fit over the terms of another design: the same predictions on the rows of today's levels."""

import dataclasses
from typing import Any

import numpy as np
import pytest

from gdpipe.design import OTHER, Category, Design, Feature, Input, Number
from gdpipe.model import Model
from gdpipe.stages.other_levels import carried_over, incomparable, new_and_gone
from tests.numerics.build import coded, one_hot, with_levels

X = Number("x", Input("x"))
A = Category("a", Input("a", levels="text"))
B = Category("b", Input("b", levels="text"))


def rows(a: str, b: str = "uv") -> list[Any]:
    """Every combination of the letters twice, and x, in the order of the designs here: x, a, b."""
    pairs = [(first, second) for first in a for second in b] * 2
    x = np.random.default_rng(1).normal(size=len(pairs))
    return [x, coded([first for first, _ in pairs]), coded([second for _, second in pairs])]


def design(found: list[Any], reference: str | None = None, **settings: Any) -> Design:
    a = dataclasses.replace(A, reference=reference)
    features = (Feature((X,)), Feature((a,)), Feature((B,)), Feature((X, a)), Feature((a, B)))
    return with_levels(Design(features, {}, **settings), found)


def fitted(of: Design) -> Model:
    return Model(of, np.random.default_rng(0).normal(size=len(of.names)).round(3), 4.0)


def line(model: Model, now: Design) -> Any:
    return carried_over(model.design, dict(zip(model.design.names, model.coef, strict=True)), model.intercept, now)


@pytest.mark.parametrize("letters", ["pqr", "pr", "pq"])
def test_levels_may_go(letters: str) -> None:
    model, today = fitted(design(rows("pqr"))), rows(letters)
    found = line(model, now := design(today))
    assert found.lacking() == ""
    hot = one_hot(now, today)
    predicted = found.intercept + sum(coef * hot[j] for j, coef in found.coef.items())
    np.testing.assert_allclose(predicted, model.predict(today), rtol=1e-12)


def test_another_reference_is_converted_in_main_effects_only() -> None:
    today = rows("pqr")
    features = [(Feature((X,)), Feature((dataclasses.replace(A, reference=r),)), Feature((B,))) for r in ("p", "r")]
    before, now = (with_levels(Design(f), today) for f in features)
    model = fitted(before)
    found, hot = line(model, now), one_hot(now, today)
    predicted = found.intercept + sum(coef * hot[j] for j, coef in found.coef.items())
    np.testing.assert_allclose(predicted, model.predict(today), rtol=1e-12)
    # a product has no term for the other reference
    whole = line(fitted(design(today, "p")), design(today, "r"))
    assert whole.missing == ("x:a[r]", "a:b[r:v]")
    assert whole.lacking() == "uses x:a[r], a:b[r:v], which this run does not"


def test_levels_that_the_fit_does_not_know_and_features_that_are_gone() -> None:
    model = fitted(design(rows("pq")))
    assert line(model, design(rows("pqs"))).unknown == ("a[s]", "x:a[s]", "a:b[s:u]", "a:b[s:v]")
    only = with_levels(Design((Feature((X,)), Feature((A,)))), rows("pq")[:2])
    assert line(model, only).lacking() == "uses b, x:a, a:b, which this run does not"
    zero = dataclasses.replace(model, coef=np.zeros(len(model.coef)))
    assert line(zero, only).lacking() == ""


def test_a_rare_level_has_the_prediction_of_others() -> None:
    features, today = (Feature((X,)), Feature((A,))), rows("pqs")[:2]
    before = Design(features).with_levels({(0,): [("p",), ("q",), (OTHER,)]})
    model = Model(before, np.array([0.5, 2.0, 3.0]), 1.0)
    found = line(model, with_levels(Design(features), today))
    assert (found.coef, found.intercept, found.lacking()) == ({0: 0.5, 1: 2.0, 2: 3.0}, 1.0, "")
    # the other way round no one knows which of them the rare rows are
    swapped = line(Model(with_levels(Design(features), today), model.coef, 1.0), before)
    assert swapped.lacking() == "does not know a[(other)]"


def test_a_reference_changes_what_is_in_a_product_with_it() -> None:
    today = rows("pqr")
    features, lines = incomparable(design(today, "p"), design(today, "q"))
    assert features == {None, "x", "a", "b", "x:a", "a:b"}
    assert lines == ("a: the reference is q, was p; coefficients that depend on it are not compared",)
    plain = [
        with_levels(Design((Feature((X,)), Feature((dataclasses.replace(A, reference=r),)))), today[:2]) for r in "pq"
    ]
    assert incomparable(*plain)[0] == {None, "a"}
    assert incomparable(plain[0], plain[0]) == (frozenset(), ())


def test_new_and_gone_levels_are_named() -> None:
    assert new_and_gone(design(rows("pq")), design(rows("pq"))) == ()
    assert new_and_gone(design(rows("pq")), design(rows("qrs", "u"))) == (
        "a: r, s are new",
        "a: p is gone",
        "b: v is gone",
    )
