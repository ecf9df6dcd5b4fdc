"""Outputs that are damaged, hostile or empty: one line that names the file, and the next train goes on."""

import contextlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import gdpipe
from gdpipe.run import Run
from tests.conftest import Outcome, gdpipe_cli, line_columns, write_parquet

Edit = Callable[[dict[str, Any]], None]


def edit_manifest(output: Path, edit: Edit) -> Path:
    path = output / "runs" / "good" / "manifest.json"
    manifest = json.loads(path.read_bytes())
    edit(manifest)
    path.write_text(json.dumps(manifest))
    return path


def refused(done: Outcome, *said: object) -> None:
    assert done.code == 4, done
    assert len(done.err.splitlines()) == 1
    for words in said:
        assert str(words) in done.err


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda m: m.update(files=[]), "does not list parameters.parquet"),
        (lambda m: m.update(files=m["files"][1:]), "does not list parameters.parquet"),
        (lambda m: m.update(files=[f for f in m["files"] if f["path"] != "metrics.parquet"]), "metrics.parquet"),
    ],
)
def test_a_manifest_that_lists_too_little_is_not_verified(edit: Edit, said: str, output: Path) -> None:
    edit_manifest(output, edit)
    refused(gdpipe_cli("verify", output), "manifest.json", said)
    damaged = json.loads(gdpipe_cli("verify", output, "--json").out)["damaged"]
    assert any(said in line for line in damaged)
    with pytest.raises(gdpipe.PublishError, match=said):
        gdpipe.open_run(output)


def test_scores_without_predictions_are_not_verified(data: Path, output: Path, tmp_path: Path) -> None:
    scores = tmp_path / "scores"
    assert gdpipe_cli("predict", data, "--run", output, "--output", scores).code == 0
    [path] = (scores / "runs").glob("*/manifest.json")
    path.write_text(json.dumps({**json.loads(path.read_bytes()), "files": []}))
    refused(gdpipe_cli("verify", scores), "does not list predictions/")


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda m: m.pop("rows"), "it has no 'rows'"),
        (lambda m: m["rows"].update(null={"x1": "many"}), "'x1' is str, not int"),
        (lambda m: m["rows"].update(read=True), "'read' is bool, not int"),
        (lambda m: m["settings"].update(fit_intercept=None), "'fit_intercept' is null, not bool"),
        (lambda m: m["settings"].update(learning_rate=[]), "'learning_rate' is list, not float"),
        (lambda m: m["settings"].update(tolerance=10**400), "'tolerance' is int, not float"),
        (lambda m: m.update(features="x1"), "'features' is str, not list"),
        (lambda m: m.update(features=["x1", 2]), "'features'[1] is int, not str"),
        (lambda m: m.update(verdict=[]), "'verdict' is list, not object"),
        (lambda m: m.update(leakage=None), "'leakage' is null, not list"),
        (lambda m: m["rows"].update(held_out="some"), "'held_out' is str, not int"),
        (lambda m: m.pop("created"), "it has no 'created'"),
        (lambda m: m["design"].update(features=[None]), "'features'[0] is null, not list"),
        (lambda m: m.update(kind="models"), "kind 'models' is not known"),
        (lambda m: m.update(kind=[]), "'kind' is list, not str"),
        (lambda m: m.update(schema_version=9), "schema version 9"),
        (lambda m: m.update(notices=["\ud800"]), "surrogates not allowed"),
        (lambda m: m.update(notices=[json.loads("[" * 99 + "]" * 99)]), "brackets more than 32 deep"),
        (lambda m: m["files"].append(m["files"][0]), "a file is listed twice"),
    ],
)
def test_a_manifest_of_another_shape(edit: Edit, said: str, data: Path, output: Path, tmp_path: Path) -> None:
    path = edit_manifest(output, edit)
    for command in (["show"], ["show", "--json"], ["verify"], ["sql"]):
        refused(gdpipe_cli(command[0], output, *command[1:]), path, said)
    refused(gdpipe_cli("predict", data, "--run", output, "--output", tmp_path / "scores"), path, said)
    with pytest.raises(gdpipe.PublishError, match=r"manifest\.json"):
        Run.at(output)
    goes_on(data, output)


@pytest.mark.parametrize(
    "edit",
    [
        lambda m: m["design"].update(levels=[[[0]]]),
        lambda m: m["design"]["features"][0][0].update(part="fortnight"),
        lambda m: m["design"]["features"][0][0].update(levels="x"),
    ],
)
def test_a_design_that_says_nothing(edit: Edit, output: Path) -> None:
    path = edit_manifest(output, edit)
    refused(gdpipe_cli("sql", output), path, "its design is damaged")
    run = Run.at(output)
    for ask in (run.refit, lambda: run.predict({"x1": [1.0], "x2": [1.0]})):
        with pytest.raises(gdpipe.PublishError, match=r"manifest\.json: its design is damaged"):
            ask()


def test_a_run_of_an_earlier_version_is_shown_and_has_no_refit(output: Path) -> None:
    def edit(manifest: dict[str, Any]) -> None:
        del manifest["inputs"][0]["sums"], manifest["boolean_features"]

    edit_manifest(output, edit)
    assert gdpipe_cli("show", output).code == 0
    with pytest.raises(gdpipe.ConfigError, match="does not say whose sums are kept, as it is of an earlier version"):
        Run.at(output).refit()


def goes_on(data: Path, output: Path) -> None:
    """The next train says that drift was not measured; a gate that needs the run before says how to do without."""
    gated = gdpipe_cli("train", data, "--target=y", "--output", output, "--max-rmse-increase=0.1", "--no-report")
    refused(gated, "max_rmse_increase has nothing to compare with")
    done = gdpipe_cli("train", data, "--target=y", "--output", output, "--run-id", "next", "--no-report", "--force")
    assert done.code == 0, done.err
    run = Run.at(output)
    assert (run.run_id, run.verify()) == ("next", [])
    assert any("cannot be compared with" in notice for notice in run.manifest["notices"])
    assert "drift" not in run.manifest


@pytest.mark.parametrize("content", [b"[" * 100_000, b'{"run_id":' * 100_000, b'{"run_id": ["' + b"x" * 999 + b'"]}'])
def test_a_pointer_without_bottom_or_end(content: bytes, data: Path, output: Path) -> None:
    (output / "latest.json").write_bytes(content)
    for command in (["show"], ["verify"], ["sql"], ["prune", "--keep=1"]):
        done = gdpipe_cli(command[0], output, *command[1:])
        refused(done, output / "latest.json")
        assert len(done.err) < 500
    goes_on(data, output)


def edit_table(output: Path, name: str, change: Callable[[pa.Table], pa.Table]) -> Path:
    """Change a table and the manifest with it, so that every checksum holds."""
    path = output / "runs" / "good" / f"{name}.parquet"
    pq.write_table(change(pq.ParquetFile(path).read()), path)
    return path


def with_column(name: str, values: list[Any], kind: pa.DataType | None = None) -> Callable[[pa.Table], pa.Table]:
    return lambda table: table.set_column(table.schema.get_field_index(name), name, pa.array(values, kind))


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("parameters", lambda t: t.drop_columns(["status"]), "column 'status' is not there"),
        ("parameters", lambda t: t.append_column("vif", t["vif"]), "column 'vif' is there twice"),
        ("parameters", with_column("vif", ["1", "2", "3"]), "column 'vif' is string, not double"),
        ("parameters", with_column("mean", [0.0, None, 1.0]), "column 'mean' is null in row 1"),
        ("parameters", lambda t: t[:0], "no rows"),
        ("convergence", lambda t: t[:0], "0 rows, not one"),
        ("metrics", lambda t: pa.concat_tables([t, t]), "2 rows, not one"),
        ("convergence", with_column("dependencies", ["x"]), "column 'dependencies' is string, not list<"),
    ],
)
def test_a_table_that_is_none_of_ours(
    name: str, change: Callable[[pa.Table], pa.Table], said: str, data: Path, output: Path
) -> None:
    path = edit_table(output, name, change)
    refused(gdpipe_cli("show", output), path, said, "train again")
    refused(gdpipe_cli("show", output, "--json"), path, said)
    with pytest.raises(gdpipe.PublishError, match="train again"):
        Run.at(output).table(name)
    if name != "convergence":
        goes_on(data, output)


@pytest.mark.parametrize(
    ("column", "values", "said"),
    [
        ("estimate", [1.0, float("nan"), 2.0], "estimate is nan in row 1"),
        ("estimate", [float("inf"), 1.0, 2.0], "estimate is inf in row 0"),
        ("term", ["intercept", "x2", "x1"], "its terms are not the 2 features"),
    ],
)
def test_a_model_that_is_none(column: str, values: list[Any], said: str, output: Path) -> None:
    path = edit_table(output, "parameters", with_column(column, values))
    with pytest.raises(gdpipe.PublishError, match=said) as raised:
        Run.at(output).predict({"x1": [1.0], "x2": [2.0]})
    assert str(path) in str(raised.value)


def test_a_footer_with_a_flipped_bit(data: Path, output: Path) -> None:
    """It is refused, or is read all the same; some that Arrow would read are told by `check_footer`."""
    path = output / "runs" / "good" / "metrics.parquet"
    whole = path.read_bytes()
    start = len(whole) - 8 - int.from_bytes(whole[-8:-4], "little")
    rng = np.random.default_rng(0)
    complaints = set()
    for at in rng.integers(start, len(whole), 150).tolist():
        changed = bytearray(whole)
        changed[at] ^= 1 << int(rng.integers(8))
        path.write_bytes(changed)
        with contextlib.suppress(gdpipe.PublishError):
            Run.at(output).table("metrics")
            continue
        complaints.add(gdpipe_cli("show", output).err)
    assert any("the footer is damaged" in line or "damaged Parquet footer" in line for line in complaints)
    assert all(line.startswith(f"gdpipe: {path}: ") and len(line.splitlines()) == 1 for line in complaints)
    goes_on(data, output)


def test_a_column_that_changes_its_type_between_the_scans(data: Path, tmp_path: Path) -> None:
    """What was float64 in the first scan is int64 in the second: other numbers from the same bits."""
    from gdpipe import pipeline
    from gdpipe.stages.standardize import standardize

    path = data / "line.parquet"
    columns = line_columns()
    write_parquet(path, columns, compression="none", use_dictionary=False)

    def then_changed(config: Any, ingested: Any) -> Any:
        columns["x1"] = np.asarray(columns["x1"]).view(np.int64)
        write_parquet(path, columns, compression="none", use_dictionary=False)
        return standardize(config, ingested)

    config = gdpipe.TrainingConfig.of({"source": str(data), "target": "y", "output": str(tmp_path / "new")})
    with pytest.raises(gdpipe.DataError, match=r"line\.parquet: was changed while it was read; run again"):
        pipeline.train(config, pipeline.Steps(standardize=then_changed))


NOT_UTF8 = os.fsdecode(b"n\xff")


def test_names_that_are_not_utf8(data: Path, output: Path, tmp_path: Path) -> None:
    named = os.path.join(tmp_path, NOT_UTF8)
    shutil.copytree(data, named)
    for command in (["show"], ["verify"], ["sql"], ["prune", "--keep=1"]):
        refused(gdpipe_cli(command[0], named, *command[1:]), "is not UTF-8", "rename it")
    refused(gdpipe_cli("train", data, "--target=y", "--output", named), "is not UTF-8", "rename it")
    done = gdpipe_cli("train", named, "--target=y", "--output", tmp_path / "new")
    assert (done.code, "a name that is not UTF-8" in done.err) == (3, True)
    # a file with such a name in the source is named; in the output it is nobody's
    shutil.copy(data / "line.parquet", os.path.join(data, f"{NOT_UTF8}.parquet"))
    done = gdpipe_cli("train", data, "--target=y", "--output", output)
    assert (done.code, "n\\udcff.parquet" in done.err) == (3, True)
    os.unlink(os.path.join(data, f"{NOT_UTF8}.parquet"))
    for folder in (output, output / "runs", output / "moments", output / "runs" / "good"):
        os.mkdir(os.path.join(folder, NOT_UTF8))
    options = ("--target=y", "--output", output, "--no-report")
    assert "nothing to do" in gdpipe_cli("train", data, *options).out
    assert gdpipe_cli("train", data, *options, "--force").code == 0
    assert gdpipe_cli("prune", output, "--keep", 1).code == 0


def test_a_column_name_and_a_key_that_are_not_utf8(tmp_path: Path) -> None:
    columns = {**line_columns(), "kkkk": ["zzzz"] * 200}
    path = write_parquet(tmp_path / "name.parquet", columns)
    path.write_bytes(path.read_bytes().replace(b"kkkk", b"k\xffkk"))
    done = gdpipe_cli("train", path, "--target=y", "--features=x1", "--output", tmp_path / "runs")
    assert (done.code, "a name that is not UTF-8, b'k\\xffkk'" in done.err) == (3, True)
    path = write_parquet(tmp_path / "key.parquet", columns, compression="none", use_dictionary=False)
    path.write_bytes(path.read_bytes().replace(b"zzzz", b"z\xffzz"))
    done = gdpipe_cli("train", path, "--target=y", "--features=x1", "--key=kkkk", "--output", tmp_path / "runs")
    assert (done.code, "key column 'kkkk' holds text that is not UTF-8" in done.err) == (3, True)
