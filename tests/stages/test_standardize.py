"""Standardize: the problem of a source, and what of it cannot be posed."""

from pathlib import Path

import numpy as np
import pytest

from gdpipe.errors import DataError
from tests.conftest import line_columns
from tests.stages.build import Stages


def test_scales_are_those_of_the_columns(tmp_path: Path) -> None:
    columns = line_columns()
    _, regression = Stages(tmp_path, columns).posed()
    np.testing.assert_allclose(
        [float(m) for m in regression.scaling.means], [np.mean(columns[n]) for n in ("x1", "x2")]
    )
    np.testing.assert_allclose(regression.scaling.scales, [np.std(columns[n]) for n in ("x1", "x2")])
    assert regression.scaling.target_scale == pytest.approx(np.std(columns["y"]))
    correlation = np.corrcoef([columns["x1"], columns["x2"], columns["y"]])
    np.testing.assert_allclose(regression.problem.hessian, correlation[:2, :2], atol=1e-15)
    np.testing.assert_allclose(regression.problem.linear, correlation[:2, 2], atol=1e-15)


def test_a_constant_target_is_named_with_its_value(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"data\.parquet: target 'y' is 3 in all 200 rows used; there is nothing"):
        Stages(tmp_path, {**line_columns(), "y": np.full(200, 3.0)}).posed()


def test_the_error_of_a_feature_names_the_source(tmp_path: Path) -> None:
    columns = line_columns()
    with pytest.raises(DataError, match=r"data\.parquet: column 'x1' has a standard deviation of .*e-16\d"):
        Stages(tmp_path, {**columns, "x1": columns["x1"] * 1e-165}).posed()
    twice = {**columns, "x3": 2 * columns["x1"] + 1}
    with pytest.raises(DataError, match=r"data\.parquet: x3 = 2 x1 \+ 1 \(to rounding\); leave such features out"):
        Stages(tmp_path, twice, {"collinear": "fail"}).posed()


def test_dependent_features_are_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    columns = line_columns()
    with caplog.at_level("INFO", "gdpipe"):
        _, regression = Stages(tmp_path, {**columns, "x3": 2 * columns["x1"]}).posed()
    assert regression.dependencies.redundant == [2]
    assert [r.message for r in caplog.records if "dependent" in r.message] == [
        "dependent features: x3 = 2 x1 (to rounding)"
    ]


def test_a_column_of_float32_is_held_to_its_own_rounding(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 300)).astype(np.float32)
    columns = {"a": a, "b": b, "c": a + b, "y": rng.normal(size=300)}
    assert Stages(tmp_path, columns).posed()[1].dependencies.redundant == [2]
    wide = {name: column.astype(float) for name, column in columns.items()}
    assert Stages(tmp_path, wide).posed()[1].dependencies.redundant == []
