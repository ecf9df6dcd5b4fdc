"""Bad input through the flow: each row of the design's table once, as tests/test_bad_input.py has them in full.

What fails is a failed flow run whose message is the command line's; the task that met it was tried once; the run that
was published before stands. Two rows have their tests elsewhere: killed at any instant, in test_deaths.py (API, worker
and flow) and tests/test_kills.py (each step); two runs at once, in test_deployments.py (two triggers) and
tests/test_kills.py. A path that is missing is in test_flows.py.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import numpy as np
import pytest
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.deployments.runner import RunnerDeployment
from prefect.exceptions import ParameterBindError

import gdpipe
from flows.train import train
from tests.conftest import line_columns, published, staged, write_parquet
from tests.faults import FULL, fault_at
from tests.flows.states import STAGES, assert_tasks, run_flow
from tests.s3 import Server
from tests.test_bad_input import corrupt_page, damaged_footer, dependent, holes, lying_file

pytestmark = pytest.mark.usefixtures("server")

Refused = Callable[..., None]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Good data, and an output folder with one published run; nothing below changes either."""
    folder = tmp_path_factory.mktemp("bad")
    source = write_parquet(folder / "data" / "line.parquet", line_columns())
    gdpipe.train(source=str(source), target="y", output=str(folder / "runs"), run_id="good", report=False)
    return folder


@pytest.fixture
def data(shared: Path) -> Path:
    return shared / "data"


@pytest.fixture
def output(shared: Path) -> Path:
    return shared / "runs"


@pytest.fixture
def refused(output: Path) -> Refused:
    """Run the flow and see it fail in a stage: with its reason, at the first attempt, and nothing published changed.

    Without a stage: before the first of them.
    """

    def check(error: str, stage: str | None, source: object, *says: object, **settings: Any) -> None:
        before = published(output)
        settings = {"target": "y", "output": str(output), "report": False} | settings
        state = run_flow(train, source=str(source), **settings)
        assert state.is_failed()
        message = str(state.message)
        assert message.startswith(f"{error}: ")
        assert "\n" not in message
        for phrase in says:
            assert str(phrase) in message
        tried = STAGES[: STAGES.index(stage) + 1] if stage else []
        assert_tasks(state, {name: "Failed" if name == stage else "Completed" for name in tried})
        assert published(output) == before
        assert staged(output) == []

    return check


# path missing, glob or filter matching nothing


def test_a_glob_that_matches_nothing(tmp_path: Path, refused: Refused) -> None:
    refused("DataError", "ingest", tmp_path / "[x-z]*.parquet", tmp_path / "[x-z]*.parquet", "no Parquet file found")


def test_filters_that_match_nothing(data: Path, refused: Refused) -> None:
    refused("DataError", "ingest", data, data, "'x1'", "match nothing", filters=[["x1", ">", 1e9]])


def test_a_bucket_that_is_not_there(s3: Server, refused: Refused) -> None:
    refused("DataError", "ingest", s3.uri("no-such-bucket/data"), "s3://no-such-bucket/data", "no such file or folder")


# a table of another system


def test_a_delta_table(data: Path, tmp_path: Path, refused: Refused) -> None:
    write_parquet(tmp_path / "t" / "day=1" / "a.parquet", line_columns())
    (tmp_path / "t" / "_delta_log").mkdir()
    refused("DataError", "ingest", tmp_path / "t" / "day=1", tmp_path / "t", "a Delta Lake table")


# not Parquet, truncated, corrupt


def test_a_file_that_is_not_parquet(tmp_path: Path, refused: Refused) -> None:
    (tmp_path / "table.parquet").write_text("x,y\n1,2\n")
    refused("DataError", "ingest", tmp_path, tmp_path / "table.parquet", "not Parquet")


def test_a_truncated_file(data: Path, tmp_path: Path, refused: Refused) -> None:
    (tmp_path / "short.parquet").write_bytes((data / "line.parquet").read_bytes()[:-100])
    refused("DataError", "ingest", tmp_path, tmp_path / "short.parquet")


def test_a_corrupt_page(tmp_path: Path, refused: Refused) -> None:
    file = corrupt_page(tmp_path / "page.parquet", "values")
    refused("DataError", "ingest", tmp_path, file, "row group 1")


def test_a_footer_that_lies(tmp_path: Path, refused: Refused) -> None:
    file = lying_file(tmp_path, true=123456789.0, claimed=500.0)
    refused("DataError", "ingest", tmp_path, file, "statistics are wrong")


def test_a_damaged_footer(tmp_path: Path, refused: Refused) -> None:
    file = damaged_footer(tmp_path / "footer.parquet")
    refused("DataError", "ingest", tmp_path, file, "row group 0", "the footer is damaged")


# schemas and columns


def test_files_whose_schemas_differ(tmp_path: Path, refused: Refused) -> None:
    write_parquet(tmp_path / "1.parquet", line_columns(50))
    second = write_parquet(tmp_path / "2.parquet", {**line_columns(50), "x2": ["1"] * 50})
    refused("SchemaError", "ingest", tmp_path, second, "'x2'", "double", "string")


def test_a_column_that_is_not_there(data: Path, refused: Refused) -> None:
    refused("SchemaError", "ingest", data, data, "'x_2'", "x1, x2, y", "did you mean 'x2'?", features=["x1", "x_2"])


def test_a_list_as_a_feature(tmp_path: Path, refused: Refused) -> None:
    file = write_parquet(tmp_path / "d.parquet", {**line_columns(40), "list": [[1.0], []] * 20})
    refused("SchemaError", "ingest", file, file, "'list'", "list<", features=["x1", "list"])


# null, infinity, no row


def test_null_and_nan_fail_where_that_was_asked_for(tmp_path: Path, refused: Refused) -> None:
    write_parquet(tmp_path / "1.parquet", line_columns(10))
    second = write_parquet(tmp_path / "2.parquet", holes(), row_group_size=7)
    refused("DataError", "ingest", tmp_path, second, "'x1'", " 2 rows", "row 3", null_policy="fail")


def test_infinity(tmp_path: Path, refused: Refused) -> None:
    columns = line_columns(50)
    columns["x2"][37] = np.inf
    file = write_parquet(tmp_path / "d.parquet", columns, row_group_size=20)
    refused("DataError", "ingest", file, file, "'x2'", "row 37")


def test_no_usable_row(tmp_path: Path, refused: Refused) -> None:
    file = write_parquet(tmp_path / "d.parquet", {**line_columns(30), "x1": np.full(30, np.nan)})
    refused("DataError", "ingest", file, file, "x1", "30", features=["x1", "x2"])


# target, features and weights


def test_a_constant_target(tmp_path: Path, refused: Refused) -> None:
    file = write_parquet(tmp_path / "d.parquet", {**line_columns(30), "y": np.full(30, 288.0)})
    refused("DataError", "standardize", file, file, "'y'", "288")


def test_dependent_features_fail_where_that_was_asked_for(tmp_path: Path, refused: Refused) -> None:
    file = write_parquet(tmp_path / "d.parquet", dependent())
    refused("DataError", "standardize", file, file, "c is constant (288)", "x1", "x2", "x3", collinear="fail")


@pytest.mark.parametrize(("weight", "says"), [(-0.5, ("'w'", "-0.5", "row 17")), (0.0, ("weight", "30"))])
def test_weights_that_are_negative_or_all_zero(
    weight: float, says: tuple[str, ...], tmp_path: Path, refused: Refused
) -> None:
    weights = np.where(np.arange(30) == 17, weight, 0.0)
    file = write_parquet(tmp_path / "d.parquet", {**line_columns(30), "w": weights})
    refused("DataError", "ingest", file, file, *says, weight="w")


# what is accepted, and said


def test_what_is_accepted_is_said_in_the_run(tmp_path: Path) -> None:
    """Lists where features are not named, nulls that are dropped, widths that mix, constant and dependent features."""
    columns = {name: values[:40] for name, values in dependent().items()}
    x1 = columns["x1"].tolist()
    text = {"text": ["a", "b"] * 10, "list": [[1.0], []] * 10}
    parts = [
        {**{name: values[rows] for name, values in columns.items()}, **text} for rows in (slice(20), slice(20, 40))
    ]
    parts[0]["x1"] = [None, *x1[1:20]]
    parts[1]["x1"] = parts[1]["x1"].astype(np.float32)
    for number, part in enumerate(parts):
        write_parquet(tmp_path / "data" / f"{number}.parquet", part)
    state = run_flow(train, source=str(tmp_path / "data"), target="y", output=str(tmp_path / "runs"), report=False)
    assert state.is_completed()
    run = gdpipe.open_run(tmp_path / "runs")
    assert run.manifest["features"] == ["x1", "x2", "x3", "c", "text"]
    notices = " ".join(run.manifest["notices"])
    assert "list (list" in notices
    assert run.manifest["rows"]["null"] == {"x1": 1}
    assert (run.manifest["rows"]["used"], len(run.predictions)) == (39, 40)
    assert run.parameters["status"].to_list() == ["ok", *["dependent"] * 3, "constant", "ok"]
    named = run.manifest["dependencies"]
    assert "c is constant (288)" in named
    assert any(all(name in line for name in ("x1", "x2", "x3")) for line in named)


def test_fewer_rows_than_features(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    file = write_parquet(tmp_path / "d.parquet", {name: rng.normal(size=3) for name in ("x1", "x2", "x3", "x4", "y")})
    state = run_flow(train, source=str(file), target="y", output=str(tmp_path / "runs"), report=False)
    assert state.is_completed()
    run = gdpipe.open_run(tmp_path / "runs")
    assert "fewer rows than features: rank 2 of 4 on 3 rows" in " ".join(run.manifest["dependencies"])
    assert run.convergence["rank"].to_list() == [2]
    assert run.parameters["std_error"].isna().all()


# settings


def test_a_rate_that_would_diverge(data: Path, refused: Refused) -> None:
    refused("ConfigError", "fit", data, "learning_rate", "2/L", learning_rate=2.0)


@pytest.fixture(scope="module")
def deployment(server: None) -> UUID:
    """The flow as the server has it, with its form."""
    identifier = RunnerDeployment.from_flow(train, name="bad-input").apply()
    assert isinstance(identifier, UUID)
    return identifier


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("learning_rate", 0),
        ("learning_rate", "fast"),
        ("run_id", "../good"),
        ("run_id", "a/b"),
        ("features", 3),
        ("max_iterations", 1.5),
        ("report", "maybe"),
    ],
)
def test_a_bad_setting_is_refused_before_there_is_a_run(
    setting: str, value: object, deployment: UUID, data: Path, output: Path
) -> None:
    settings = {"source": str(data), "target": "y", "output": str(output), setting: value}
    with get_client(sync_client=True) as client:
        assert isinstance(client, SyncPrefectClient)
        before = client.count_flow_runs()
        with pytest.raises(httpx.HTTPStatusError) as caught:
            client.create_flow_run_from_deployment(deployment, parameters=settings)
        assert client.count_flow_runs() == before
    assert caught.value.response.is_client_error
    assert setting in caught.value.response.text


def test_an_unknown_setting_is_refused_before_there_is_a_run(data: Path, output: Path) -> None:
    """By Prefect, which binds parameters in this process, or in that of `prefect deployment run`."""
    with get_client(sync_client=True) as client:
        assert isinstance(client, SyncPrefectClient)
        before = client.count_flow_runs()
        with pytest.raises(ParameterBindError, match="'learning_rat'"):
            run_flow(train, source=str(data), target="y", output=str(output), learning_rat=0.1)
        assert client.count_flow_runs() == before


# output that cannot be written


def test_an_output_below_a_file(data: Path, tmp_path: Path, refused: Refused) -> None:
    (tmp_path / "plain-file").write_text("stays as it is")
    place = tmp_path / "plain-file" / "runs"
    refused("PublishError", None, data, place, output=str(place))
    assert (tmp_path / "plain-file").read_text() == "stays as it is"


def test_a_disk_that_is_full(data: Path, output: Path, refused: Refused) -> None:
    with fault_at(4, output, FULL):  # while predictions are written
        refused("PublishError", "predict", data, output, "No space left on device", "untouched", force=True)
