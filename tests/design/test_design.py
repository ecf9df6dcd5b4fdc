"""The design: terms of rows, of SQL and of a manifest from one definition."""

import numpy as np
import pytest

from gdpipe.design import Design, design_from_manifest, design_to_manifest
from gdpipe.model import Model

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
