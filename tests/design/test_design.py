"""The design: terms of rows, of SQL and of a manifest from one definition."""

import numpy as np
import pytest

from gdpipe.design import OTHER, Category, Coded, Design, Feature, Input, design_from_manifest, design_to_manifest
from gdpipe.model import Model
from gdpipe.numerics.sums.levels import Key, Labels

DESIGN = Design.of_numbers(["a", "b", "a b"], ["b", "other"])


def test_terms_of_rows_are_the_columns_in_order_and_not_copies_of_them() -> None:
    columns = [np.array([1.0, 2.0]), np.array([3.0, 4.0]), np.array([5.0, 6.0])]
    for term, column in zip(DESIGN.number_values(columns), columns, strict=True):
        assert term is column
    with pytest.raises(ValueError, match="shorter"):
        DESIGN.number_values(columns[:2])


def test_a_manifest_gives_the_design_back_and_an_older_one_has_no_booleans() -> None:
    manifest = design_to_manifest(DESIGN)
    assert {**manifest, "design": None} == {"features": ["a", "b", "a b"], "boolean_features": ["b"], "design": None}
    again = design_from_manifest({**manifest, "target": "y"})
    assert again.names == again.columns == DESIGN.names
    assert again.features == DESIGN.features
    assert design_from_manifest({"features": ["a"]}) == Design.of_numbers(["a"])


def test_a_design_without_a_column_has_no_term_of_it() -> None:
    assert DESIGN.without(["b", "nobody's"]).names == ("a", "a b")
    assert DESIGN.without([]) == DESIGN


def test_a_model_predicts_term_by_term() -> None:
    model = Model(DESIGN, np.array([2.0, 0.5, -1.0]), 10.0)
    rows = np.array([[1.0, 0.0], [2.0, 4.0], [3.0, -1.0]])
    assert model.features == ("a", "b", "a b")
    assert model.predict(rows).tolist() == [10 + 2 + 1 - 3, 10 + 0 + 2 + 1]


def test_levels_of_rows_are_those_of_their_labels_whatever_the_rows_before_had() -> None:
    features = tuple(Feature((Category(name, Input(name, None, "text")),)) for name in ("a", "b"))
    design = Design(features).with_levels({(0,): [("x",), ("y",)], (1,): [("x",), (OTHER,)]})
    places = design.level_places()
    rows = np.array([0, 1, 1, 0])
    for labels in (("x", "y"), ("x", "y"), ("y", "x"), ("z", "y"), ("x", "y", "z")):
        categories = [Coded(labels, rows), Coded((*labels, "w"), rows + 1)]
        found = [of_category.tolist() for of_category in places.codes(categories)]
        # a level that is unknown is -1, and `(other)` where there is such a level
        assert found[0] == [{"x": 0, "y": 1}.get(labels[code], -1) for code in rows]
        assert found[1] == [{"x": 0}.get((*labels, "w")[code + 1], 1) for code in rows]
        assert found == [of_category.tolist() for of_category in design.codes(categories)]


@pytest.mark.parametrize("together", [False, True])
def test_an_unseen_level_as_the_reference_has_the_coefficient_of_that(together: bool) -> None:
    a, b = (Category(name, Input(name, None, "text"), reference) for name, reference in (("a", "q"), ("b", None)))
    # without an intercept and alone, references have terms
    design = Design((Feature((a, b) if together else (a,)),), fit_intercept=False)
    found: dict[Key, list[Labels]] = {(0,): [("p",), ("q",)]}
    if together:
        found |= {(1,): [("u",), ("v",)], (0, 1): [("p", "u"), ("q", "u"), ("q", "v")]}
    design = design.with_levels(found)
    model = Model(design, np.arange(1.0, len(design.names) + 1), 0.0, unseen_as_reference=True)
    columns = [Coded(("p", "q", "new"), np.array([0, 1, 2, 2, 0])), Coded(("u", "v", "new"), np.array([0, 1, 2, 1, 1]))]
    columns, key = columns[: len(design.categories)], tuple(range(len(design.categories)))
    rows = [tuple(of.labels[of.codes[row]] for of in columns) for row in range(5)]
    expected = [model.coefficients[0].get(design.known_or_reference(key, labels), 0.0) for labels in rows]
    assert expected == ([1, 3, 2, 3, 0] if together else [1, 2, 2, 2, 1])
    assert model.predict(columns).tolist() == expected
