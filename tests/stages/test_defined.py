"""Functions and products that are not defined in a row: the same error in training and in scoring."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import gdpipe
from gdpipe.defined import first_undefined
from gdpipe.design import Design, Feature, Input, Number
from gdpipe.design.formula import feature_of
from gdpipe.errors import DataError
from gdpipe.filters import normalized
from gdpipe.pipeline import score_source
from gdpipe.source.columns import read_columns
from gdpipe.source.scan import ROW
from gdpipe.stages.scan.defined import check_defined
from tests.conftest import write_parquet

RNG = np.random.default_rng(17)
X = RNG.uniform(1, 5, 60)
GOOD: dict[str, Any] = {"x": X, "z": RNG.normal(size=60), "y": 2 * np.log(X) + RNG.normal(size=60)}


def with_value(name: str, row: int, value: float | None) -> dict[str, Any]:
    values = list(GOOD[name])
    values[row] = value
    return {**GOOD, name: values}


SAID = {
    "log(x)": (
        0.0,
        "log(x) is not defined in row 71, where column 'x' is 0; leave such rows out by filters ('x > 0'), or",
    ),
    "log(x):z": (-2.5, "log(x) is not defined in row 71, where column 'x' is -2.5"),
    "sqrt(x)**2": (-1.0, "sqrt(x)**2 is not defined in row 71, where column 'x' is -1"),
    "log(abs(x))": (0.0, "log(abs(x)) is not defined in row 71, where abs(x) is 0; leave such rows out by filters, or"),
    "sqrt(log(x**2))": (
        0.5,
        "sqrt(log(x**2)) is not defined in row 71, where log(x**2) is -1.38629; leave such rows out",
    ),
    "x**10": (1e40, "x**10 is inf in row 71, whose square is beyond float64"),
    "x:z": (1e153, "x:z is 3e+154 in row 71, whose square is beyond float64"),
}


@pytest.mark.parametrize("text", SAID)
@pytest.mark.parametrize("gaps", [False, True])
def test_the_row_is_named(text: str, gaps: bool) -> None:
    value, said = SAID[text]
    design = Design((feature_of(text, ["x", "z"], lambda _: "number"),))
    x: list[float | None] = [1.5, None if gaps else 2.5, value, 3.5]
    batch = pa.record_batch({"x": x, "z": [1.0, 2.0, 30.0, 4.0], ROW: [69, 70, 71, 72]})
    block = read_columns(batch, design.inputs)
    with pytest.raises(DataError) as refused:
        check_defined(design, block, batch, "d.parquet")
    assert str(refused.value).startswith(f"d.parquet: {said}")
    rest = batch.filter(pa.array([True, True, False, True]))
    check_defined(design, read_columns(rest, design.inputs), rest, "d.parquet")


@pytest.mark.parametrize("name", ["x", "a b", "order", 'a"b', "ß", "1st", "Between", "a.b"])
def test_the_condition_that_is_said_is_one_of_filters(name: str) -> None:
    design = Design((Feature((Number("f", Input(name), ("sqrt",)),)),))
    found = first_undefined(design, {Input(name): np.array([1.0, -1.0])})
    assert found is not None
    assert normalized(found.condition) == [[name, ">=", 0]]


def test_no_condition_is_said_of_a_part_of_a_date() -> None:
    hour = Input("t", "hour")
    found = first_undefined(Design((Feature((Number("log(hour(t))", hour, ("log",)),)),)), {hour: np.array([0.0])})
    assert found is not None
    assert (found.condition, found.why) == (None, ", where hour(t) is 0")


def test_training_and_scoring_refuse_the_same_row(tmp_path: Path) -> None:
    bad = write_parquet(tmp_path / "bad.parquet", with_value("x", 41, 0.0))
    run = train(write_parquet(tmp_path / "good.parquet", GOOD), tmp_path / "runs", "log(x)")
    said = r"bad.parquet: log\(x\) is not defined in row 41, where column 'x' is 0;"
    with pytest.raises(DataError, match=said):
        train(bad, tmp_path / "runs", "log(x)")
    with pytest.raises(DataError, match=said):
        score_source(str(bad), run=str(tmp_path / "runs"), output=str(tmp_path / "scores"))
    with pytest.raises(
        DataError, match=r"row 2: log\(x\) is not defined, where column 'x' is 0; keep rows with x > 0 al"
    ):
        run.predict({"x": [1.0, None, 0.0]})
    assert run.predict({"x": [1.0, None]}).isna().tolist() == [False, True]


def test_rows_that_miss_a_value_have_no_logarithm_and_need_none(tmp_path: Path) -> None:
    file = write_parquet(tmp_path / "d.parquet", with_value("x", 41, None))
    run = train(file, tmp_path / "runs", "log(x)")
    assert run.manifest["rows"]["used"] == 59
    file = write_parquet(tmp_path / "zero.parquet", with_value("x", 41, 0.0))
    filtered = train(file, tmp_path / "filtered", "log(x)", filters="x > 0")
    assert filtered.parameters["estimate"].to_list() == run.parameters["estimate"].to_list()
    [slope] = run.parameters["estimate"][1:]
    assert slope == pytest.approx(2, abs=0.6)


def train(source: Path, output: Path, features: str, **settings: Any) -> gdpipe.Run:
    return gdpipe.train(
        source=str(source), target="y", output=str(output), features=features, report=False, workers=1, **settings
    )
