"""The flows against a real server: once well, once badly, and what the server then knows."""

import base64
import json
import shlex
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.exceptions import FailedRun
from prefect.flow_engine import run_flow as run_engine
from prefect.flow_engine import run_flow_sync
from prefect.logging.loggers import flow_run_logger
from prefect.utilities.names import generate_slug

import gdpipe
from flows import train as train_module
from flows.page import PAGE_WIDTH, PICTURES
from flows.score import score
from flows.tasks import retried_task
from flows.train import train
from gdpipe import pipeline
from gdpipe.errors import DataError
from gdpipe.stages.ingest import ingest
from tests import conftest
from tests.flows.states import PROGRESS, STAGES, artifacts, assert_tasks, run_flow
from tests.test_dask import Cluster

pytestmark = pytest.mark.usefixtures("server")

FLIGHTS = str(conftest.FLIGHTS)
FEATURES = list(conftest.FEATURES)  # as a form sends them
ARTIFACTS = ("summary", "parameters", "loss", "predicted", "residuals", "runs")


def test_the_flights_are_trained_in_nine_tasks_and_then_scored(tmp_path: Path) -> None:
    output = str(tmp_path / "runs")
    state = run_flow(train, source=FLIGHTS, target="arr_delay", features=FEATURES, output=output)
    assert state.is_completed()
    assert_tasks(state, dict.fromkeys(STAGES, "Completed"))
    run = gdpipe.open_run(output)
    assert state.result() == str(run.folder)
    assert run.manifest["rows"]["used"] == 327_346
    assert run.metrics["r2"][0] == pytest.approx(0.8775905, abs=1e-6)
    assert run.metrics["rmse"][0] == pytest.approx(15.61588, abs=1e-3)
    assert run.convergence["condition_number"][0] == pytest.approx(214, abs=1)
    assert (np.diff(run.loss_history["loss"]) <= 0).all()
    assert len(run.predictions) == 336_776
    shown = artifacts(state)
    steps = run.convergence["iterations"][0]
    assert {key: shown[key].data for key in PROGRESS} == dict.fromkeys(PROGRESS, 100)
    assert shown.keys() - set(PROGRESS) == {f"train-arr-delay-{what}" for what in ARTIFACTS}
    for key, said in zip(
        PROGRESS, ("read 336,776 of 336,776 rows", f"descended {steps:,} of", "predicted"), strict=True
    ):
        assert shown[key].type == "progress"
        assert shown[key].description.startswith(said)
        assert shown[key].task_run_id is not None

    scored = run_flow(score, source=FLIGHTS, run=output, output=str(tmp_path / "scores"), key=["flight"])
    assert scored.is_completed()
    shown = artifacts(scored)
    assert shown["gdpipe-predicted"].data == 100
    assert "RMSE 15.61586, MAE 11.1899, on 327,346 rows" in str(shown["score-summary"].data)
    scores = gdpipe.open_run(tmp_path / "scores")
    np.testing.assert_array_equal(scores.predictions["prediction"], run.predictions["prediction"])


def test_a_category_is_a_line_of_the_page_however_many_levels_it_has(tmp_path: Path) -> None:
    settings = {"features": ["dep_delay", "carrier", "dest"], "filters": "month = 1"}
    state = run_flow(
        train, source=FLIGHTS, target="arr_delay", output=str(tmp_path / "runs"), predict="none", **settings
    )
    assert state.is_completed(), state.message
    shown = artifacts(state)
    assert len(str(shown["train-arr-delay-summary"].data).splitlines()) < 40
    numbers, categories = (json.loads(shown[f"train-arr-delay-{table}"].data) for table in ("parameters", "categories"))
    assert [row["term"] for row in numbers] == ["intercept", "dep_delay"]
    assert [row["feature"] for row in categories] == ["carrier", "dest"]
    assert int(categories[1]["levels"]) == 94


def test_the_flow_publishes_the_bits_of_the_command_line(tmp_path: Path) -> None:
    output = str(tmp_path / "runs")
    settings: dict[str, Any] = {"source": FLIGHTS, "target": "arr_delay", "filters": [["month", "<=", 2]]}
    assert run_flow(train, output=output, run_id="flow", **settings).is_completed()
    by_hand = gdpipe.train(output=output, run_id="plain", **settings)
    by_flow = gdpipe.run.Run.at(tmp_path / "runs" / "runs" / "flow")
    pd.testing.assert_frame_equal(by_flow.parameters, by_hand.parameters, check_exact=True)
    pd.testing.assert_frame_equal(by_flow.predictions, by_hand.predictions, check_exact=True)


def test_a_run_that_does_not_pass_is_a_failed_flow_run_with_its_reason(tmp_path: Path) -> None:
    state = run_flow(
        train,
        source=FLIGHTS,
        target="arr_delay",
        features=FEATURES,
        output=str(tmp_path / "runs"),
        method="gd",
        learning_rate=1e-6,
        max_iterations=50,
        run_id="slow",
    )
    assert state.is_failed()
    assert str(state.message).startswith("ConvergenceError: the run did not pass validation: stopped after 50 steps")
    assert str(state.message).endswith(f" (evidence: {tmp_path}/runs/rejected/slow)")
    assert_tasks(state, {**dict.fromkeys(STAGES[: STAGES.index("decide")], "Completed"), "decide": "Failed"})
    assert (tmp_path / "runs" / "rejected" / "slow" / "loss_history.parquet").is_file()
    assert not (tmp_path / "runs" / "latest.json").exists()
    # its page shows what that of a published run shows
    shown = artifacts(state)
    assert {f"train-arr-delay-{what}" for what in ("summary", "parameters", "loss")} <= shown.keys()
    assert "stopped after 50 steps" in str(shown["train-arr-delay-summary"].data)
    assert "its descent stopped" in str(shown["train-arr-delay-parameters"].description)
    summary = str(shown["train-arr-delay-summary"].data).split("```")[1].splitlines()
    pasted = [line for line in summary if line.startswith("try ")]
    assert max(len(line) for line in summary if not line.startswith(("try ", "files "))) <= PAGE_WIDTH
    assert all(shlex.split(line, comments=True) for line in pasted)  # no quotation is broken
    assert max(map(len, pasted)) > PAGE_WIDTH
    # estimates are those that the standard errors belong to
    for row in json.loads(str(shown["train-arr-delay-parameters"].data)):
        t = float(row["t_value"])
        assert abs(float(row["ols_estimate"]) / float(row["std_error"]) - t) <= 1e-4 * abs(t)
        assert row["unfinished estimate"] != row["ols_estimate"]


def test_the_reason_of_a_failed_run_is_logged_without_prefects_own_traceback(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As in the process that a worker starts, which logs what ends the engine."""
    parameters = {"source": str(tmp_path / "nowhere"), "target": "y", "output": str(tmp_path / "runs")}
    with get_client(sync_client=True) as client, caplog.at_level("INFO"):
        assert isinstance(client, SyncPrefectClient)
        made = client.create_flow_run(train, parameters=parameters)
        with pytest.raises(FailedRun):
            run_engine(train, flow_run=made, parameters=parameters, error_logger=flow_run_logger(made).logger)
    said = [record for record in caplog.records if record.name == "prefect.flow_runs"]
    assert "DataError: " in said[-1].getMessage()
    assert [record for record in said if record.exc_info] == []


def test_the_tasks_on_a_cluster_give_the_bits_of_threads(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"source": FLIGHTS, "target": "arr_delay", "features": FEATURES, "report": False}
    cluster = Cluster(tmp_path)
    try:
        cluster.grow(2)
        state = run_flow(train, **settings, output=str(tmp_path / "dask"), engine=cluster.address)
    finally:
        cluster.close()
    assert state.is_completed()
    assert_tasks(state, dict.fromkeys(STAGES, "Completed"))
    there = gdpipe.open_run(tmp_path / "dask")
    here = gdpipe.train(**settings, output=str(tmp_path / "threads"))
    pd.testing.assert_frame_equal(there.parameters, here.parameters, check_exact=True)
    pd.testing.assert_frame_equal(there.predictions, here.predictions, check_exact=True)


def test_a_run_that_does_not_pass_the_gate_is_a_failed_flow_run_with_the_comparison(tmp_path: Path) -> None:
    output = str(tmp_path / "runs")
    settings: dict[str, Any] = {"source": FLIGHTS, "target": "arr_delay", "output": output, "report": False}
    assert run_flow(train, **settings, features=FEATURES, filters=[["month", "=", 1]], run_id="calm").is_completed()
    state = run_flow(
        train, **settings, features=FEATURES, filters=[["month", "=", 6]], run_id="rough", max_rmse_increase="5%"
    )
    assert state.is_failed()
    assert str(state.message).startswith("QualityError: the run did not pass the gate: cross-validated RMSE ")
    assert "more than 5% above run calm's published cross-validated RMSE" in str(state.message)
    assert gdpipe.open_run(output).run_id == "calm"
    assert (tmp_path / "runs" / "rejected" / "rough" / "drift.parquet").is_file()
    shown = artifacts(state)["train-arr-delay-summary"]
    assert "5% above run calm" in str(shown.description).replace("\\", "")


def test_a_missing_source_fails_at_once_and_names_the_path(tmp_path: Path) -> None:
    missing = str(tmp_path / "nowhere")
    state = run_flow(train, source=missing, target="y", output=str(tmp_path / "runs"))
    assert state.is_failed()
    assert str(state.message) == f"DataError: {missing}: no such file or folder"
    # a deterministic error is not tried again
    assert_tasks(state, {"ingest": "Failed"})


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("learning_rate", -1),
        ("tolerance", 0),
        ("method", "newton"),
        ("max_iterations", 0),
        ("features", 3),
        ("max_rmse_increase", -0.05),
        ("max_rmse_increase", "some"),
        ("min_r2", 2),
    ],
)
def test_a_bad_parameter_is_refused_with_its_name(setting: str, value: object, tmp_path: Path) -> None:
    state = run_flow(train, source=FLIGHTS, target="arr_delay", output=str(tmp_path / "runs"), **{setting: value})
    assert state.is_failed()
    assert setting in str(state.message)
    assert_tasks(state, {})
    assert not (tmp_path / "runs").exists()


def test_a_setting_that_only_gdpipe_can_judge_is_refused_with_its_name(tmp_path: Path) -> None:
    state = run_flow(train, source=FLIGHTS, target="arr_delay", output=str(tmp_path / "runs"), features=["arr_delay"])
    assert state.is_failed()
    assert str(state.message) == "ConfigError: features: 'arr_delay' is the target and cannot be a feature too"


def test_a_passing_error_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []

    def flaky(*arguments: Any) -> Any:
        calls.append(1)
        if len(calls) == 1:
            raise DataError("the connection was lost", transient=True)
        return ingest(*arguments)

    steps = pipeline.Steps(ingest=retried_task(flaky).with_options(retry_delay_seconds=0))
    monkeypatch.setattr(train_module, "STEPS", steps)
    state = run_flow(
        train,
        source=FLIGHTS,
        target="arr_delay",
        features=FEATURES,
        output=str(tmp_path / "runs"),
        filters=[["month", "=", 1]],
    )
    assert state.is_completed()
    assert len(calls) == 2


def test_every_setting_is_a_parameter_of_the_flow_with_the_same_default() -> None:
    import dataclasses
    import inspect

    parameters = inspect.signature(train.fn).parameters
    fields = {f.name: f for f in dataclasses.fields(gdpipe.TrainingConfig)}
    assert list(parameters) == [*fields, "credentials"]
    for name, field in fields.items():
        if field.default is not dataclasses.MISSING:
            assert parameters[name].default == (None if field.default == () else field.default), name


def test_a_run_that_finds_nothing_new_says_so_and_makes_nothing(tmp_path: Path) -> None:
    settings: dict[str, Any] = {
        "source": FLIGHTS,
        "target": "arr_delay",
        "features": FEATURES,
        "filters": [["month", "=", 1]],
        "output": str(tmp_path / "runs"),
    }
    first = run_flow(train, **settings)
    assert f"train-arr-delay-{ARTIFACTS[0]}" in artifacts(first)
    again = run_flow(train, **settings)
    assert again.is_completed()
    folder = gdpipe.open_run(tmp_path / "runs").location
    assert again.message == f"nothing to do: inputs, settings and versions are those of {folder}"
    assert again.result() == first.result() == folder
    assert_tasks(again, {})
    assert artifacts(again) == {}


def test_another_target_is_a_failed_flow_run_with_its_reason(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"source": FLIGHTS, "filters": [["month", "=", 1]], "output": str(tmp_path / "runs")}
    assert run_flow(train, target="arr_delay", features=["distance"], report=False, **settings).is_completed()
    state = run_flow(train, target="dep_delay", features=["distance"], **settings)
    assert state.is_failed()
    assert str(state.message).startswith("ConfigError: target 'dep_delay': the latest run in ")
    assert_tasks(state, {"ingest": "Failed"})


def test_what_people_look_at_first_is_on_the_run_page(tmp_path: Path) -> None:
    output = str(tmp_path / "runs")
    settings: dict[str, Any] = {"source": FLIGHTS, "target": "arr_delay", "output": output}
    state = run_flow(train, features=["distance", "hour"], filters=[["month", "=", 1]], run_id="one", **settings)
    shown = artifacts(state)
    for key, title in PICTURES.items():
        kind, picture = str(shown[f"train-arr-delay-{key}"].data).partition("base64,")[::2]
        assert kind == f"![{key}](data:image/svg+xml;"
        root = ElementTree.fromstring(base64.b64decode(picture.rstrip(")")))  # noqa: S314  # our own
        assert root.find("{http://www.w3.org/2000/svg}title").text == title  # type: ignore[union-attr]  # no title fails it
    summary = str(shown["train-arr-delay-summary"].data)
    assert f"`{tmp_path}/runs/runs/one/report.html`" in summary
    assert "file:" not in summary
    assert "](" not in summary
    cells = [text for row in json.loads(shown["train-arr-delay-parameters"].data) for text in row.values()]
    assert "–" in cells
    assert "-" not in cells
    [row] = json.loads(shown["train-arr-delay-runs"].data)
    assert (row["run"], row["verdict"]) == ("one", "passed, latest")
    bare = run_flow(train, features=["distance"], filters=[["month", "=", 1]], report=False, **settings)
    without = artifacts(bare)
    assert not {f"train-arr-delay-{key}" for key in PICTURES} & without.keys()
    assert len(json.loads(without["train-arr-delay-runs"].data)) == 2


def flow_run(name: str | None, **parameters: Any) -> str:
    """The name that a flow run has in the end, which was made beforehand, as the UI does it, with a name or without."""
    with get_client(sync_client=True) as client:
        assert isinstance(client, SyncPrefectClient)
        made = client.create_flow_run(train, name=name, parameters=parameters)
        run_flow_sync(train, flow_run=made, parameters=parameters, return_type="state")
        return str(client.read_flow_run(made.id).name)


def test_a_name_that_was_given_stays(tmp_path: Path) -> None:
    parameters = {"source": str(tmp_path / "nowhere"), "target": "y", "output": str(tmp_path / "runs")}
    assert flow_run("first try of Monday", **parameters) == "first try of Monday"
    assert flow_run("first-try", **parameters) == "first-try"
    for made_up in (None, generate_slug(2)):
        assert flow_run(made_up, **parameters) == f"y from {tmp_path}/nowhere"
