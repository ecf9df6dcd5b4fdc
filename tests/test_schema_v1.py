"""What was published under schema version 1 is read for ever: by gdpipe, and by readers that know nothing of it."""

import hashlib
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import gdpipe
from gdpipe.run import Run
from gdpipe.store import catalog
from tests.conftest import gdpipe_cli, snapshot

FIXTURE = Path(__file__).parent / "fixtures" / "schema_v1"
SECOND = FIXTURE / "output" / "runs" / "second"
SCORED = FIXTURE / "scores" / "runs" / "scored"

ESTIMATES = [4.135757973857046, 1.9950400051092727, -3.004093156060129, 0.5060193077441265]
R2 = 0.9996486416625886

F, S, N, B = "double", "string", "int64", "bool"
COLUMNS: dict[str, dict[str, str]] = {
    "parameters": {
        **{"term": S, "estimate": F, "estimate_scaled": F, "ols_estimate": F, "std_error": F, "t_value": F},
        **{"p_value": F, "ci_lower": F, "ci_upper": F, "mean": F, "scale": F, "vif": F, "status": S},
        **{"std_error_hc1": F},
    },
    "loss_history": {
        **{"iteration": N, "loss": F, "gradient_norm": F, "learning_rate": F},
        "estimate_scaled": "list<double>",
    },
    "convergence": {
        **{"status": S, "passed": B, "method": S, "iterations": N, "forecast_iterations": N, "learning_rate": F},
        **{"condition_number": F, "rank": N, "gradient_norm": F, "distance_bound": F, "coef_gap": F},
        **{"coef_gap_se": F, "loss": F, "ols_loss": F, "excess_loss": F, "row_gradient": F, "tolerance": F},
        "dependencies": "list<string>",
    },
    "metrics": {
        **{"r2": F, "r2_kind": S, "adjusted_r2": F, "rmse": F, "mae": F, "residual_std_error": F, "n_samples": N},
        **{"n_features": N, "total_weight": F, "df_residual": F, "f_statistic": F, "f_p_value": F},
        **{"log_likelihood": F, "aic": F, "bic": F, "durbin_watson": F, "jarque_bera": F},
        **{"jarque_bera_p_value": F, "skewness": F, "kurtosis": F, "breusch_pagan": F},
        **{"breusch_pagan_p_value": F, "target_mean": F, "target_scale": F},
    },
    "drift": {
        **{"term": S, "role": S, "previous_mean": F, "previous_scale": F, "previous_estimate": F},
        **{"mean_shift_sd": F, "mean_shift_se": F, "scale_ratio": F, "scale_shift_se": F, "estimate_shift_se": F},
    },
    "predictions": {"file": S, "row": N, "target": F, "prediction": F, "residual": F},
}


def types(schema: pa.Schema) -> dict[str, str]:
    return {field.name: str(field.type).replace("element: ", "").replace("item: ", "") for field in schema}


def files(artifact: str, run: Path = SECOND) -> str:
    return str(run / "predictions" / "*.parquet") if artifact == "predictions" else str(run / f"{artifact}.parquet")


@pytest.fixture(scope="module", autouse=True)
def unchanged() -> Any:
    """Nothing that reads a run writes to it."""
    before = snapshot(FIXTURE)
    yield
    assert snapshot(FIXTURE) == before


def test_the_fixture_is_the_one_that_was_made() -> None:
    """Its numbers can be trusted as long as these bytes are: a manifest made anew would agree with changed files."""
    digest = hashlib.sha256((SECOND / "manifest.json").read_bytes()).hexdigest()
    assert digest == "812f52a434de58e57a41220bcd97f5beda55e30b70fd248a8e78404438dd1260"
    assert sum(map(len, snapshot(FIXTURE).values())) < 200_000


# gdpipe


@pytest.mark.parametrize("place", ["output", "output/runs/second", "output/rejected/slow", "scores"])
def test_it_opens_with_every_checksum(place: str) -> None:
    assert gdpipe.open_run(FIXTURE / place).manifest["schema_version"] == 1


@pytest.mark.parametrize("artifact", COLUMNS)
def test_every_table_has_its_columns_and_types(artifact: str) -> None:
    table = Run.at(FIXTURE / "output").table(artifact)
    assert types(table.schema) == COLUMNS[artifact]
    assert all({b"unit", b"meaning"} <= set(field.metadata) for field in table.schema)
    assert table.schema.metadata[b"gdpipe.schema_version"] == b"1"


def test_the_numbers_are_those_that_were_published() -> None:
    run = gdpipe.open_run(FIXTURE / "output")
    assert run.parameters["term"].to_list() == ["intercept", "x1", "x2", "x3"]
    np.testing.assert_array_equal(run.parameters["estimate"], ESTIMATES)
    assert run.metrics["r2"].item() == R2
    assert (run.convergence["iterations"].item(), run.convergence["passed"].item()) == (8, True)
    assert run.loss_history["iteration"].to_list() == list(range(9))
    assert run.drift["role"].to_list() == ["intercept", "feature", "feature", "feature", "target"]
    assert len(run.predictions) == 300


def test_it_predicts_what_it_predicted() -> None:
    run = gdpipe.open_run(FIXTURE / "output")
    data = pd.read_parquet(FIXTURE / "data")
    np.testing.assert_array_equal(run.predict(data), run.predictions["prediction"])
    np.testing.assert_array_equal(data["y"], run.predictions["target"])


def test_it_scores_new_files(tmp_path: Path) -> None:
    done = gdpipe_cli("predict", FIXTURE / "data", "--run", FIXTURE / "output", "--output", tmp_path, "--key", "x1")
    assert done.code == 0, done.err
    now, then = gdpipe.open_run(tmp_path), gdpipe.open_run(FIXTURE / "scores")
    pd.testing.assert_frame_equal(now.predictions, then.predictions, check_exact=True)


@pytest.mark.parametrize("place", ["output", "output/rejected/slow", "scores"])
def test_show_and_verify_read_it(place: str) -> None:
    for command in (("show",), ("show", "--json"), ("verify",)):
        done = gdpipe_cli(*command, FIXTURE / place)
        assert done.code == 0, done.err


def test_a_run_made_today_is_gated_by_it(tmp_path: Path) -> None:
    """The gate and the drift read the run that was published before."""
    output = tmp_path / "output"
    for name, content in snapshot(FIXTURE / "output").items():
        (output / name).parent.mkdir(parents=True, exist_ok=True)
        (output / name).write_bytes(content)
    done = gdpipe_cli(
        *("train", FIXTURE / "data", "--target", "y", "--output", output, "--run-id", "third"),
        *("--max-rmse-increase", "0", "--tolerance", "1e-7"),
    )
    assert done.code == 0, done.err
    manifest = gdpipe.open_run(output).manifest
    assert manifest["run_id"] == "third"
    assert manifest["drift"]["since"] == "second"
    assert manifest["gate"]["previous_run_id"] == "second"


# other readers


@pytest.mark.parametrize("artifact", COLUMNS)
def test_pandas_polars_and_duckdb_read_the_same(artifact: str) -> None:
    own = Run.at(FIXTURE / "output").table(artifact)
    pandas = pd.read_parquet(Path(files(artifact)).parent if artifact == "predictions" else files(artifact))
    polars = pl.read_parquet(files(artifact))
    duck = duckdb.read_parquet(files(artifact)).to_arrow_table()
    assert list(pandas.columns) == polars.columns == duck.column_names == own.column_names
    assert len(pandas) == len(polars) == len(duck) == len(own)
    for name, kind in COLUMNS[artifact].items():
        if kind == F:
            expected = own[name].to_numpy()
            for column in (pandas[name], polars[name], duck[name]):
                np.testing.assert_array_equal(column.to_numpy(), expected)
        elif not kind.startswith("list"):
            expected = own[name].to_pylist()
            assert pandas[name].to_list() == polars[name].to_list() == duck[name].to_pylist() == expected
        else:
            expected = own[name].to_pylist()
            assert [list(v) for v in pandas[name]] == polars[name].to_list() == duck[name].to_pylist() == expected


def test_scores_have_the_key_first() -> None:
    scores = pl.read_parquet(files("predictions", SCORED))
    assert scores.columns == ["x1", "target", "prediction", "residual"]
    assert scores["prediction"].to_list() == pl.read_parquet(files("predictions"))["prediction"].to_list()


@pytest.mark.skipif(catalog.SCHEMA_VERSION != 1, reason="today's runs are of another version")
@pytest.mark.parametrize("artifact", COLUMNS)
def test_what_is_written_today_has_every_column_still(artifact: str) -> None:
    """Columns may be added under one version; none goes, is renamed, or changes its type."""
    written = catalog.predictions_schema([], "") if artifact == "predictions" else catalog.schema(artifact, "")
    assert types(written).items() >= COLUMNS[artifact].items()
