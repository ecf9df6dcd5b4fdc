"""The command line: exit codes, one clear line of error, and what each command does."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

import gdpipe
from tests.conftest import REPO, Outcome, gdpipe_cli, gdpipe_command, line_columns, snapshot, staged, write_parquet
from tests.runs import gdpipe_train
from tests.test_config import DEFAULTS


def assert_one_line(done: Outcome, code: int) -> None:
    assert done.code == code, done
    assert re.fullmatch(r"gdpipe: [^\n]+\n", done.err), done.err


# train


def test_train_publishes_and_says_so(data: Path, tmp_path: Path) -> None:
    done = gdpipe_train(data, tmp_path / "runs", "--run-id", "first")
    assert done.code == 0
    assert done.err == ""
    assert "200 read, 200 used" in done.out
    assert "PASSED" in done.out
    assert str(tmp_path / "runs" / "runs" / "first") in done.out
    assert gdpipe.open_run(tmp_path / "runs").run_id == "first"


def test_the_forecast_is_printed_before_the_verdict(data: Path, tmp_path: Path) -> None:
    out = gdpipe_train(data, tmp_path / "runs").out
    assert 0 <= out.index("forecast") < out.index("validated")


def test_quiet_prints_nothing_but_errors(data: Path, tmp_path: Path) -> None:
    done = gdpipe_cli("--quiet", "train", data, "--target", "y", "--output", tmp_path / "runs")
    assert done == Outcome(0, "", "")
    behind = gdpipe_cli("train", data, "--target", "y", "--force", "--output", tmp_path / "runs", "--quiet")
    assert behind == Outcome(0, "", "")
    assert_one_line(gdpipe_cli("--quiet", "train", data, "--target", "z", "--output", tmp_path / "other"), 3)


def test_the_terms_of_wide_data_do_not_flood_the_terminal(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(70, 100))
    write_parquet(tmp_path / "wide.parquet", {**{f"x{j}": line for j, line in enumerate(x)}, "y": x.sum(axis=0)})
    out = gdpipe_cli("train", tmp_path / "wide.parquet", "--target", "y", "--output", tmp_path / "runs").out
    assert "and 11 terms more, in parameters.parquet" in out
    assert len(out.splitlines()) < 90


@pytest.mark.parametrize("wrong", [("--nope",), ("trian",), ("train",), ("train", "a", "--nope")])
def test_a_wrong_command_is_one_line(wrong: tuple[str, ...]) -> None:
    assert_one_line(gdpipe_cli(*wrong), 2)


def test_every_setting_is_an_option() -> None:
    shown = gdpipe_cli("train", "--help").out
    for name in DEFAULTS:
        assert re.search(rf"--{name.replace('_', '-')}\b", shown), name


def test_every_option_reaches_the_manifest(tmp_path: Path) -> None:
    columns = line_columns()
    rows = len(columns["y"])
    file = write_parquet(tmp_path / "d.parquet", {**columns, "k": np.arange(rows), "w": np.ones(rows)})
    settings = {
        "features": ["x1", "x2"],
        "exclude": ["k", "w"],
        "max_levels": 100,
        "min_level_rows": 2,
        "folds": 4,
        "fold_by": ["k"],
        "holdout": [["k", ">", 140]],
        "penalty": "elastic_net",
        "alpha": 0.001,
        "l1_ratio": 0.25,
        "output": str(tmp_path / "out"),
        "key": ["k"],
        "weight": "w",
        "filters": [["k", "<", 150]],
        "null_policy": "fail",
        "method": "gd",
        "learning_rate": 0.5,
        "tolerance": 1e-6,
        "max_iterations": 5000,
        "max_seconds": 60.0,
        "fit_intercept": False,
        "collinear": "drop",
        "arithmetic": "float64",
        "max_rmse_increase": 0.25,
        "min_r2": 0.5,
        "memory": "64MiB",
        "engine": "threads",
        "workers": 2,
        "report": False,
        "predict": "new",
        "latest": False,
        "force": False,
        "run_id": "all-options",
    }
    assert set(settings) == set(DEFAULTS)
    args: list[object] = []
    for name, value in settings.items():
        option = name.replace("_", "-")
        if isinstance(value, bool):
            assert value is False
            args.append(f"--no-{option}")
        elif name in {"filters", "holdout"}:
            args += [f"--{option}", json.dumps(value)]
        else:
            args += [f"--{option}", ",".join(value) if isinstance(value, list) else value]
    done = gdpipe_cli("train", file, "--target", "y", *args)
    assert done.code == 0, done.err
    run = gdpipe.open_run(tmp_path / "out" / "runs" / "all-options")
    assert run.manifest["settings"] == {"source": str(file), "target": "y", **settings}
    assert run.manifest["rows"]["read"] == 150
    assert run.predictions.columns.to_list() == ["k", "target", "prediction", "residual"]
    assert not (run.folder / "report.html").exists()


def test_names_with_commas_go_as_json(tmp_path: Path) -> None:
    columns = line_columns()
    file = write_parquet(tmp_path / "d.parquet", {"a,b": columns["x1"], "y": columns["y"], "c": columns["x2"]})
    done = gdpipe_train(file, tmp_path / "out", "--features", '["a,b"]')
    assert done.code == 0, done.err
    assert gdpipe.open_run(tmp_path / "out").parameters["term"].to_list() == ["intercept", "a,b"]


# exit codes


def test_bad_settings_are_2(data: Path, output: Path) -> None:
    before = snapshot(output)
    assert_one_line(gdpipe_train(data, output, "--tolerance", "-1"), 2)
    assert_one_line(gdpipe_train(data, output, "--memory", "lots"), 2)
    assert_one_line(gdpipe_train(data, output, "--run-id", "a/b"), 2)
    assert_one_line(gdpipe_train(data, output, "--features", "x1,y"), 2)
    assert_one_line(gdpipe_train(data, output, "--engine", "tcp://localhost"), 2)
    assert snapshot(output) == before


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--tolerance", "small"),
        ("--learning-rate", "fast"),
        ("--method", "newton"),
        ("--max-iterations", "1.5"),
        ("--max-rmse-increase", "5 percent"),
        ("--features", "[x1"),
        ("--learnig-rate", "1"),
    ],
)
def test_what_is_no_option_value_is_2_and_named(data: Path, output: Path, option: str, value: str) -> None:
    before = snapshot(output)
    done = gdpipe_train(data, output, option, value)
    assert done.code == 2
    assert option in done.err
    assert snapshot(output) == before


def test_a_missing_target_is_2() -> None:
    done = gdpipe_cli("train", "data")
    assert done.code == 2
    assert "--target" in done.err


def test_bad_data_are_3(output: Path, tmp_path: Path) -> None:
    done = gdpipe_train(tmp_path / "nowhere", output)
    assert_one_line(done, 3)
    assert str(tmp_path / "nowhere") in done.err


def test_an_output_that_cannot_be_written_is_4(data: Path, tmp_path: Path) -> None:
    blocker = tmp_path / "plain-file"
    blocker.write_text("not a folder")
    done = gdpipe_train(data, blocker / "runs")
    assert_one_line(done, 4)
    assert str(blocker / "runs") in done.err


def test_a_rate_above_the_limit_is_2_and_the_limit_is_true(data: Path, output: Path) -> None:
    before = snapshot(output)
    done = gdpipe_train(data, output, "--learning-rate", "5")
    assert_one_line(done, 2)
    assert "learning_rate 5" in done.err
    found = re.search(r"2/L = ([0-9.e+-]+)", done.err)
    assert found, done.err
    limit = float(found[1])
    # by hand: L is the largest eigenvalue of the correlation matrix
    columns = line_columns()
    correlation = np.corrcoef([columns["x1"], columns["x2"]])
    assert limit == pytest.approx(2 / np.linalg.eigvalsh(correlation)[-1], rel=1e-9)
    assert gdpipe_train(data, output, "--learning-rate", repr(limit * (1 + 1e-8))).code == 2
    assert snapshot(output) == before
    assert gdpipe_train(data, output, "--learning-rate", repr(limit * 0.99)).code == 0


def test_a_rate_far_too_small_ends_in_rejected(data: Path, output: Path) -> None:
    before = snapshot(output)
    slow = ("--learning-rate", "1e-9", "--max-iterations", "300", "--run-id", "slow")
    done = gdpipe_train(data, output, *slow)
    assert_one_line(done, 1)
    evidence = output / "rejected" / "slow"
    assert str(evidence) in done.err
    assert "300 steps" in done.err
    assert "max_iterations" in done.err

    after = snapshot(output)
    assert {name: after[name] for name in before} == before
    assert not (output / "runs" / "slow").exists()
    names = {p.name for p in evidence.rglob("*")}
    assert {"manifest.json", "parameters.parquet", "loss_history.parquet", "convergence.parquet"} <= names
    assert not any(name.startswith("predictions") or name.startswith("part-") for name in names)
    assert pq.read_table(evidence / "loss_history.parquet")["iteration"].to_pylist() == list(range(301))
    verdict = pq.read_table(evidence / "convergence.parquet").to_pylist()[0]
    assert verdict["passed"] is False
    assert verdict["status"] == "max_iterations"
    assert staged(output) == []

    shown = gdpipe_cli("show", evidence)
    assert shown.code == 0
    assert "NOT PASSED" in shown.out
    assert gdpipe_cli("verify", evidence).code == 0
    assert gdpipe.open_run(output).run_id == "good"


def test_the_clock_of_the_descent_ends_it(data: Path, output: Path) -> None:
    hopeless = ("--learning-rate", "1e-12", "--max-iterations", "1000000000", "--max-seconds", "0.05")
    done = gdpipe_train(data, output, *hopeless)
    assert_one_line(done, 1)
    assert "max_seconds" in done.err


# tracebacks


@pytest.mark.parametrize("debug", [False, True])
def test_a_traceback_is_shown_only_where_it_was_asked_for(tmp_path: Path, debug: bool) -> None:
    command = gdpipe_command(*(["--debug"] if debug else []), "train", tmp_path / "nowhere", "--target", "y")
    done = subprocess.run(command, cwd=REPO, capture_output=True, text=True, check=False)
    assert str(tmp_path / "nowhere") in done.stderr
    assert ("Traceback" in done.stderr) is debug
    assert ("DataError" in done.stderr) is debug
    if not debug:
        assert_one_line(Outcome(done.returncode, done.stdout, done.stderr), 3)


def test_debug_keeps_the_exit_code(data: Path, output: Path) -> None:
    done = gdpipe_cli("--debug", "train", data, "--target", "y", "--output", output, "--learning-rate", "5")
    assert done.code == 2


def test_a_run_imports_neither_prefect_nor_matplotlib_nor_pandas(tmp_path: Path) -> None:
    data = write_parquet(tmp_path / "many.parquet", line_columns(6_000))  # with few rows SciPy loads
    arguments = ("train", data, "--target", "y", "--output", tmp_path / "runs")
    command = gdpipe_command(*arguments, options=("-X", "importtime"))
    done = subprocess.run(command, cwd=REPO, capture_output=True, text=True, check=True)
    modules = {line.rsplit("|", 1)[1].strip() for line in done.stderr.splitlines() if "|" in line}
    imported = {module.split(".")[0] for module in modules}
    assert {"gdpipe", "numpy", "pyarrow"} <= imported
    assert imported.isdisjoint({"prefect", "matplotlib", "pandas", "scipy", "sqlglot", "loky"})
    # what other commands need; the summary is printed without rich's tables
    assert modules.isdisjoint(
        {"numpy.ma", "rich.console", "gdpipe.history", "gdpipe.stages.refit", "gdpipe.stages.simulate"}
    )
    assert gdpipe_cli("verify", tmp_path / "runs").code == 0


WITHOUT = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("pandas", "prefect", "matplotlib"):
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Absent())
from gdpipe.cli import main
main(sys.argv[1:])
"""


def test_a_run_needs_no_pandas(data: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", WITHOUT, "train", str(data), "--target", "y", "--output", str(tmp_path / "runs")]
    done = subprocess.run(command, cwd=REPO, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert gdpipe_cli("verify", tmp_path / "runs").code == 0


# predict


def test_predict_gives_the_predictions_of_the_training(data: Path, output: Path, tmp_path: Path) -> None:
    done = gdpipe_cli("predict", data, "--run", output, "--output", tmp_path / "scores", "--run-id", "s1")
    assert done.code == 0, done.err
    assert "200 scored with run good" in done.out
    trained, scores = gdpipe.open_run(output), gdpipe.open_run(tmp_path / "scores")
    assert scores.manifest["scored_with"] == "good"
    pd.testing.assert_frame_equal(trained.predictions, scores.predictions, check_exact=True)


def test_predict_needs_no_target_and_copies_keys(output: Path, tmp_path: Path) -> None:
    columns = line_columns(50, seed=1)
    new = write_parquet(
        tmp_path / "new.parquet",
        {"name": [f"row {i}" for i in range(50)], "x2": columns["x2"], "other": ["text"] * 50, "x1": columns["x1"]},
    )
    to = tmp_path / "scores"
    done = gdpipe_cli("predict", new, "--run", output, "--output", to, "--key", "name", "--filters", '[["x1", ">", 0]]')
    assert done.code == 0, done.err
    scores = gdpipe.open_run(to).predictions
    positive = columns["x1"] > 0
    assert scores["name"].to_list() == [f"row {i}" for i in np.flatnonzero(positive)]
    assert scores["target"].isna().all()
    assert scores["residual"].isna().all()
    expected = 1 + 2 * columns["x1"][positive] - 3 * columns["x2"][positive]
    np.testing.assert_allclose(scores["prediction"], expected, atol=0.2)


def test_predict_refuses_what_does_not_fit_the_model(data: Path, output: Path, tmp_path: Path) -> None:
    columns = line_columns(20)
    lacking = write_parquet(tmp_path / "lacking.parquet", {"x1": columns["x1"], "x22": columns["x2"]})
    text = write_parquet(tmp_path / "text.parquet", {"x1": ["1.0"] * 20, "x2": columns["x2"]})
    infinite = write_parquet(
        tmp_path / "infinite.parquet", {"x1": columns["x1"], "x2": np.where(np.arange(20) == 7, np.inf, columns["x2"])}
    )
    both = {name: np.where(np.arange(20) == 7, np.inf, columns[name]) for name in ("x1", "x2")}
    cancelling = write_parquet(tmp_path / "cancelling.parquet", both)  # a prediction of inf - inf
    to = tmp_path / "scores"
    for source, phrases in (
        (lacking, ("'x2'", "'x22'")),
        (text, ("'x1'", "string")),
        (tmp_path / "nowhere", (str(tmp_path / "nowhere"),)),
        (infinite, (str(infinite), "'x2'", "row 7")),
        (cancelling, (str(cancelling), "'x1'", "row 7")),
    ):
        done = gdpipe_cli("predict", source, "--run", output, "--output", to)
        assert_one_line(done, 3)
        assert all(phrase in done.err for phrase in phrases), done.err
        assert not (to / "latest.json").exists()
    assert_one_line(gdpipe_cli("predict", data, "--run", output, "--output", to, "--key", "nope"), 3)


def test_predict_refuses_bad_settings(data: Path, output: Path, tmp_path: Path) -> None:
    to = tmp_path / "scores"
    for run_id in ("a/b", "../../escaped", ""):
        done = gdpipe_cli("predict", data, "--run", output, "--output", to, "--run-id", run_id)
        assert_one_line(done, 2)
        assert "run_id" in done.err
    assert_one_line(gdpipe_cli("predict", data, "--run", output, "--output", to, "--filters", "[]"), 2)
    assert gdpipe_cli("predict", data, "--run", output, "--output", to, "--run-id", "s1").code == 0
    before = snapshot(to)
    done = gdpipe_cli("predict", data, "--run", output, "--output", to, "--run-id", "s1")
    assert_one_line(done, 2)
    assert "s1" in done.err
    done = gdpipe_cli("predict", data, "--run", to, "--output", to)
    assert_one_line(done, 2)
    assert "scores" in done.err
    assert snapshot(to) == before


def test_predict_without_a_run_is_4(data: Path, tmp_path: Path) -> None:
    done = gdpipe_cli("predict", data, "--run", tmp_path / "nothing", "--output", tmp_path / "scores")
    assert_one_line(done, 4)
    assert str(tmp_path / "nothing") in done.err


def test_predict_does_not_use_a_damaged_model(data: Path, output: Path, tmp_path: Path) -> None:
    flip_byte(output / "runs" / "good" / "parameters.parquet")
    done = gdpipe_cli("predict", data, "--run", output, "--output", tmp_path / "scores")
    assert_one_line(done, 4)
    assert "parameters.parquet" in done.err


# show and verify


def test_show_prints_the_latest_run_or_the_one_named(data: Path, output: Path) -> None:
    assert gdpipe_train(data, output, "--run-id", "newer").code == 0
    latest = gdpipe_cli("show", output)
    assert latest.code == 0
    assert str(output / "runs" / "newer") in latest.out
    assert re.search(r"^x2 +-2\.9", latest.out, re.MULTILINE) or re.search(r"^x2 +-3\.0", latest.out, re.MULTILINE)
    named = gdpipe_cli("show", output / "runs" / "good")
    assert named.code == 0
    assert str(output / "runs" / "good") in named.out


def test_show_prints_scores(data: Path, output: Path, tmp_path: Path) -> None:
    assert gdpipe_cli("predict", data, "--run", output, "--output", tmp_path / "scores").code == 0
    shown = gdpipe_cli("show", tmp_path / "scores")
    assert (shown.code, shown.out.startswith("rows        200 scored with run good\n")) == (0, True)
    shown = gdpipe_cli("show", tmp_path / "scores", "--json")
    assert shown.code == 0
    assert json.loads(shown.out)["scored_with"] == "good"


@pytest.mark.parametrize("command", ["show", "verify"])
def test_a_folder_without_a_run_is_4(command: str, tmp_path: Path) -> None:
    done = gdpipe_cli(command, tmp_path)
    assert_one_line(done, 4)
    assert str(tmp_path) in done.err


def test_verify_counts_what_holds(output: Path) -> None:
    done = gdpipe_cli("verify", output)
    assert done.code == 0
    files = gdpipe.open_run(output).manifest["files"]
    assert f"{len(files)} files" in done.out


def flip_byte(file: Path, at: int | None = None) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2 if at is None else at] ^= 1
    file.write_bytes(content)


@pytest.mark.parametrize("at", [0, 200, -1])
def test_verify_notices_a_flipped_byte_in_predictions(output: Path, at: int) -> None:
    flip_byte(output / "runs" / "good" / "predictions" / "part-00000.parquet", at)
    done = gdpipe_cli("verify", output)
    assert_one_line(done, 4)
    assert "predictions/part-00000.parquet" in done.err
    assert "parameters.parquet" not in done.err


def test_verify_names_every_damaged_file(output: Path) -> None:
    run = output / "runs" / "good"
    (run / "predictions" / "part-00000.parquet").unlink()
    (run / "metrics.parquet").write_bytes((run / "metrics.parquet").read_bytes()[:-10])
    flip_byte(run / "parameters.parquet")
    done = gdpipe_cli("verify", output)
    assert_one_line(done, 4)
    for name in ("predictions/part-00000.parquet", "metrics.parquet", "parameters.parquet"):
        assert name in done.err
    assert "convergence.parquet" not in done.err


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"schema_version": 1}', '{"schema_version": 99}', "null"])
@pytest.mark.parametrize("command", ["show", "verify"])
def test_a_damaged_manifest_is_4_and_named(command: str, content: str, output: Path) -> None:
    manifest = output / "runs" / "good" / "manifest.json"
    manifest.write_text(content)
    done = gdpipe_cli(command, output)
    assert_one_line(done, 4)
    assert str(manifest) in done.err


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "{}", '{"run_id": "../runs/good"}', '{"run_id": "gone"}', '{"run_id": null}']
)
def test_a_damaged_pointer_is_4(content: str, output: Path) -> None:
    (output / "latest.json").write_text(content)
    assert_one_line(gdpipe_cli("verify", output), 4)


# simulate


def test_simulate_makes_the_same_data_of_the_same_seed(tmp_path: Path) -> None:
    size = ("--rows", "500", "--files", "3")
    for folder, seed in (("a", 1), ("b", 1), ("c", 2)):
        done = gdpipe_cli("simulate", tmp_path / folder, *size, "--seed", seed)
        assert done.code == 0, done.err
    a, b, c = (snapshot(tmp_path / folder) for folder in "abc")
    assert len(a) == 4
    assert a == b
    assert a != c


def test_a_fit_of_simulated_data_finds_the_truth(tmp_path: Path) -> None:
    demo, to = tmp_path / "demo", tmp_path / "runs"
    made = gdpipe_cli("simulate", demo, "--weights", "2,-3,0.5", "--bias", "7", "--rows", "4000")
    assert made.code == 0
    assert "4,000 rows in 4 files" in made.out
    assert gdpipe_train(demo, to).code == 0
    truth = pq.read_table(demo / "_true_parameters.parquet").to_pylist()
    assert truth == [
        {"term": "intercept", "value": 7.0},
        {"term": "x1", "value": 2.0},
        {"term": "x2", "value": -3.0},
        {"term": "x3", "value": 0.5},
    ]
    found = gdpipe.open_run(to).parameters
    assert found["term"].to_list() == [row["term"] for row in truth]
    gap = (found["estimate"] - [row["value"] for row in truth]) / found["std_error"]
    assert gap.abs().max() < 5


def test_simulate_adds_to_no_folder_that_has_data(tmp_path: Path) -> None:
    assert gdpipe_cli("simulate", tmp_path / "demo", "--rows", "10").code == 0
    before = snapshot(tmp_path / "demo")
    assert_one_line(gdpipe_cli("simulate", tmp_path / "demo", "--rows", "10"), 2)
    assert snapshot(tmp_path / "demo") == before


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("weights", "2,three"),
        ("weights", "nan"),
        ("rows", "0"),
        ("files", "0"),
        ("files", "101"),
        ("noise", "-1"),
        ("noise", "inf"),
        ("bias", "nan"),
        ("high", "0"),
        ("high", "inf"),
        ("low", "-inf"),
        ("seed", "-1"),
    ],
)
def test_simulate_refuses_what_makes_no_data(option: str, value: str, tmp_path: Path) -> None:
    done = gdpipe_cli("simulate", tmp_path / "demo", "--rows", "100", f"--{option}", value)
    assert_one_line(done, 2)
    assert option in done.err or (option == "low" and "high" in done.err)
    assert not list(tmp_path.rglob("*.parquet"))


def test_simulate_into_a_file_is_4(tmp_path: Path) -> None:
    (tmp_path / "plain-file").write_text("not a folder")
    assert_one_line(gdpipe_cli("simulate", tmp_path / "plain-file" / "demo"), 4)


# help


def test_help_shows_each_example_on_a_line_of_its_own() -> None:
    lines = [line.partition("#")[0].strip() for line in gdpipe_cli("--help").out.splitlines()]
    assert "gdpipe train demo --target y" in lines
    assert "gdpipe show" in lines


def test_version_is_that_of_the_package() -> None:
    from importlib.metadata import version

    assert version("gdpipe") in gdpipe_cli("--version").out
