"""A retrain reads only what is new, gives the bits of a full one, and does nothing where nothing changed."""

import itertools
import json
import logging
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import gdpipe
from gdpipe.source import scan
from gdpipe.store.cache import Cache
from gdpipe.store.runs import place_at
from tests.conftest import REPO, gdpipe_cli, gdpipe_command, line_columns, write_parquet
from tests.runs import entries, train

# what compares the rows read again with their sums
ROW_CHECKS = [
    "row_gradient",
    "row_count_gap",
    "row_weight_gap",
    "row_mean_gap",
    "row_mean_gap_limit",
    "row_loss_gap",
    "row_loss_gap_limit",
    "row_probe_gap",
    "row_probe_gap_limit",
]
# what needs every row's residual
RESIDUAL_METRICS = [
    "mae",
    "durbin_watson",
    "skewness",
    "kurtosis",
    "jarque_bera",
    "jarque_bera_p_value",
    "breusch_pagan",
    "breusch_pagan_p_value",
]


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files whose rows were decoded, in order, once a row group."""
    names: list[str] = []
    decode = scan._decode

    def counted(source: Any, file: Any, *rest: Any) -> Iterator[pa.RecordBatch]:
        names.append(file.name)
        return decode(source, file, *rest)

    monkeypatch.setattr(scan, "_decode", counted)
    return names


def write_day(folder: Path, day: int, rows: int = 60) -> Path:
    return write_parquet(folder / f"day-{day:03d}.parquet", line_columns(rows, seed=day))


def spoil_rows(file: Path) -> None:
    """Overwrite the rows, not the footer, size or time: who reads a row now fails."""
    content, times = bytearray(file.read_bytes()), file.stat()
    footer = int.from_bytes(content[-8:-4], "little") + 8
    content[4:-footer] = b"\xff" * (len(content) - footer - 4)
    file.write_bytes(content)
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))


def kept_files(output: Path) -> set[str]:
    """The paths of the input files whose sums are kept, as the entries say themselves."""
    return {json.loads(entry.read_text())["of"]["file"]["path"] for entry in entries(output)}


def sums(run: gdpipe.Run) -> dict[str, str]:
    return {entry["file"]: entry["sums"] for entry in run.manifest["inputs"]}


def assert_same_bits(run: gdpipe.Run, other: gdpipe.Run, *, all_rows: bool = True) -> None:
    """Every published number; without those that need every row where not all were read."""
    left_out = [] if all_rows else ["std_error_hc1", *ROW_CHECKS, *RESIDUAL_METRICS]
    for artifact in ("parameters", "loss_history", "convergence", "metrics"):
        tables = [r.table(artifact).replace_schema_metadata(None) for r in (run, other)]
        mine, theirs = [t.drop_columns([c for c in left_out if c in t.column_names]) for t in tables]
        for name in mine.column_names:
            assert repr(mine[name].to_pylist()) == repr(theirs[name].to_pylist()), name  # NaN is NaN here
    if all_rows:
        pd.testing.assert_frame_equal(run.predictions, other.predictions, check_exact=True)


# one more file arrives


def test_of_a_hundred_files_and_one_more_only_that_one_is_read(tmp_path: Path, opened: list[str]) -> None:
    data, output = tmp_path / "data", tmp_path / "runs"
    for day in range(100):
        write_day(data, day)
    train(data, output, predict="none")
    assert len(opened) == 100
    write_day(data, 100)
    full = train(data, tmp_path / "full")
    for day in range(100):
        spoil_rows(data / f"day-{day:03d}.parquet")

    for predict, scans in (("none", 1), ("new", 2)):
        shutil.copytree(output, tmp_path / predict)
        opened.clear()
        run = train(data, tmp_path / predict, predict=predict)
        assert opened == ["day-100.parquet"] * scans
        assert [name for name, how in sums(run).items() if how == "read"] == ["day-100.parquet"]
        assert run.manifest["rows"] == {**full.manifest["rows"], "scanned": 60}
        assert_same_bits(run, full, all_rows=False)
        predicted = [entry["file"] for entry in run.manifest["inputs"] if entry["predicted"]]
        assert predicted == (["day-100.parquet"] if predict == "new" else [])


@pytest.mark.parametrize("weight", [None, "w"])
def test_whatever_comes_goes_or_changes_the_bits_are_those_of_a_full_retrain(
    weight: str | None, tmp_path: Path, opened: list[str]
) -> None:
    data, output = tmp_path / "data", tmp_path / "runs"

    def day(number: int, rows: int, factor: float = 1.0) -> None:
        columns = line_columns(rows, seed=number)
        columns["w"] = np.arange(rows) % 4 / 2
        columns["x1"] = pa.array(columns["x1"] * factor, mask=np.arange(rows) % 17 == number)
        write_parquet(data / f"day-{number}.parquet", columns, row_group_size=40)

    def night(read: list[int]) -> None:
        opened.clear()
        run = train(data, output, weight=weight, features=["x1", "x2"])
        assert sums(run) == {n: "read" if int(n[4]) in read else "kept" for n in sums(run)}
        nothing_kept = tmp_path / f"full-{len(list(tmp_path.iterdir()))}"
        assert_same_bits(run, train(data, nothing_kept, weight=weight, features=["x1", "x2"]))

    for number in range(4):
        day(number, 100)
    night([0, 1, 2, 3])
    day(4, 30)
    night([4])
    (data / "day-1.parquet").unlink()
    night([])
    day(2, 55)
    night([2])
    day(1, 100)  # back again, with another time
    night([1])
    day(5, 100, factor=5000.0)  # beyond a power of 1024: another grid
    night([0, 1, 2, 3, 4, 5])


# killed


def test_a_run_killed_halfway_leaves_its_finished_files_to_the_next(tmp_path: Path) -> None:
    data, output = tmp_path / "data", tmp_path / "runs"
    for day in range(100):
        write_day(data, day)
    full = train(data, tmp_path / "full", predict="none")
    command = gdpipe_command("train", data, "--target", "y", "--output", output, "--no-report", "--predict", "none")
    with subprocess.Popen(command, cwd=REPO, stdout=subprocess.DEVNULL) as process:
        while len(entries(output)) < 30 and process.poll() is None:
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    finished = kept_files(output)
    assert 30 <= len(finished) < 100
    for path in finished:
        spoil_rows(Path(path))
    run = train(data, output, predict="none")
    assert {str(data / name) for name, how in sums(run).items() if how == "kept"} == finished
    assert_same_bits(run, full, all_rows=False)
    assert {path.suffix for path in (output / "moments").iterdir()} == {".json"}
    assert list((output / ".staging").iterdir()) == []


# windows


@pytest.mark.parametrize("stored", [True, False], ids=["a column with statistics", "a partition"])
def test_a_year_of_monthly_windows_reads_every_file_once(stored: bool, tmp_path: Path, opened: list[str]) -> None:
    data, output = tmp_path / "data", tmp_path / "runs"
    for month in range(1, 13):
        columns = line_columns(50, seed=month)
        if stored:
            write_parquet(data / f"{month:02d}.parquet", {**columns, "month": np.full(50, month)})
        else:
            write_parquet(data / f"month={month:02d}" / "part.parquet", columns)
    settings: dict[str, Any] = {"features": ["x1", "x2"], "predict": "none"}
    for month in range(1, 13):
        run = train(data, output, filters=[["month", "<=", month]], **settings)
        assert run.manifest["rows"]["read"] == 50 * month
    assert len(opened) == len(set(opened)) == 12
    assert len(entries(output)) == 12
    # the whole year, and a window that cuts no file, are the same sums
    for filters in (None, [["month", "in", [3, 4, 5]]], [[["month", "<", 3]], [["month", "=", 12]]]):
        run = train(data, output, filters=filters, **settings)
        assert_same_bits(run, train(data, tmp_path / "full", filters=filters, force=True, **settings), all_rows=False)
        assert len(entries(output)) == 12


def test_a_filter_that_cuts_a_file_has_sums_of_its_own(tmp_path: Path) -> None:
    data, output = tmp_path / "data", tmp_path / "runs"
    for day in (1, 2):
        write_parquet(data / f"{day}.parquet", {**line_columns(50, seed=day), "hour": np.arange(50) + 50 * day})
    settings: dict[str, Any] = {"features": ["x1", "x2"], "predict": "none"}
    expected = {0: 2, 70: 3, 71: 4, 100: 4}  # rows 50 to 149; the second file is whole each time
    for first, count in expected.items():
        run = train(data, output, filters=[["hour", ">=", first]], **settings)
        assert len(entries(output)) == count
        assert run.manifest["rows"]["read"] == 150 - max(first, 50)
        full = train(data, tmp_path / f"full-{first}", filters=[["hour", ">=", first]], **settings)
        assert_same_bits(run, full, all_rows=False)
    assert sums(run) == {"1.parquet": None, "2.parquet": "kept"}


# entries that cannot be trusted


def flipped(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


def test_damaged_torn_and_foreign_entries_are_noticed_and_made_anew(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    data, output = tmp_path / "data", tmp_path / "runs"
    for day in range(6):
        write_day(data, day)
    first = train(data, output)
    before = {path.name: path.read_bytes() for path in entries(output)}
    a, b, c, d, e, good = entries(output)
    a.write_bytes(flipped(a.read_bytes()))
    b.write_bytes(b.read_bytes()[:-100])
    c.write_bytes(b"")
    d.write_bytes(good.read_bytes())  # whole, but not what its name says
    key, seal = e.name.partition("-")[0], good.name.partition("-")[2]
    e.unlink()
    (output / "moments" / f"{key}-{seal}").write_bytes(good.read_bytes())  # whole, under another's key
    (output / "moments" / "notes.txt").write_text("not ours")

    with caplog.at_level(logging.WARNING, logger="gdpipe"):
        run = train(data, output, force=True)
    assert len([line for line in caplog.messages if "made anew" in line]) == 5
    assert list(sums(run).values()).count("kept") == 1
    assert_same_bits(run, first)
    left = {path.name: path.read_bytes() for path in (output / "moments").iterdir()}
    assert left == {**before, "notes.txt": b"not ours"}


def test_a_file_that_changes_while_it_is_read_ends_the_run_and_its_sums_are_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, output = tmp_path / "data", tmp_path / "runs"
    paths = [write_day(data, day) for day in range(2)]
    decode, times = scan._decode, itertools.count(1)

    def changed(source: Any, file: Any, *rest: Any) -> Iterator[pa.RecordBatch]:
        yield from decode(source, file, *rest)
        os.utime(paths[0], ns=(1, next(times)))

    monkeypatch.setattr(scan, "_decode", changed)
    for settings in ({"predict": "none"}, {"predict": "new"}, {"arithmetic": "float64"}):
        with pytest.raises(gdpipe.DataError, match=r"day-000\.parquet: changed while this run read it"):
            train(data, output, features=["x1"], **settings)
    assert not (output / "latest.json").exists()
    assert kept_files(output) <= {str(paths[1])}


def test_an_entry_that_cannot_be_written_fails_the_run(tmp_path: Path) -> None:
    write_day(tmp_path / "data", 0)
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "moments").write_text("in the way")
    done = gdpipe_cli("train", tmp_path / "data", "--target", "y", "--output", tmp_path / "runs")
    assert done.code == 4
    assert str(tmp_path / "runs" / "moments") in done.err
    assert not (tmp_path / "runs" / "latest.json").exists()


def test_nobody_reads_on_where_sums_cannot_be_kept(tmp_path: Path, opened: list[str]) -> None:
    for day in range(400):
        write_day(tmp_path / "data", day, rows=10)
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "moments").write_text("in the way")
    with pytest.raises(gdpipe.PublishError):
        train(tmp_path / "data", tmp_path / "runs")
    assert len(opened) < 400


def test_rounded_sums_are_not_kept(tmp_path: Path) -> None:
    write_day(tmp_path / "data", 0)
    assert set(sums(train(tmp_path / "data", tmp_path / "runs", arithmetic="float64")).values()) == {"read"}
    assert entries(tmp_path / "runs") == []


def test_null_policy_fail_names_the_first_gap_also_from_kept_sums(tmp_path: Path) -> None:
    data, output = tmp_path / "data", tmp_path / "runs"
    for name, gap in (("1", 60), ("3", 3), ("2", 7)):
        columns = line_columns(60)
        columns["x1"] = pa.array(columns["x1"], mask=np.arange(60) == gap)
        write_parquet(data / f"{name}.parquet", columns)
        if name == "3":  # kept before the second file is there
            train(data, output, predict="none")
    for _ in range(2):
        with pytest.raises(gdpipe.DataError, match=r"2\.parquet: column 'x1' is null or NaN in 2 rows, first in row 7"):
            train(data, output, null_policy="fail")


# nothing to do


def test_nothing_is_done_where_nothing_has_changed(tmp_path: Path, opened: list[str]) -> None:
    data, output = tmp_path / "data", tmp_path / "runs"
    write_day(data, 0)
    command = ("train", data, "--target", "y", "--output", output, "--no-report")
    assert gdpipe_cli(*command, "--run-id", "first").code == 0
    before = (output / "latest.json").stat().st_mtime_ns
    for again in ((), ("--run-id", "first"), ("--memory", "64MiB")):
        opened.clear()
        done = gdpipe_cli(*command, *again)
        assert done.code == 0, done.err
        assert "nothing to do" in done.out
        assert "set force to train all the same" in done.out
        assert str(output / "runs" / "first") in done.out
        assert opened == []
        assert (output / "latest.json").stat().st_mtime_ns == before
        assert len(list((output / "runs").iterdir())) == 1

    for number, more in enumerate((("--force",), ("--run-id", "other"), ("--tolerance", "1e-7"), ("--report",)), 2):
        assert "nothing to do" not in gdpipe_cli(*command, *more).out
        assert len(list((output / "runs").iterdir())) == number


def test_any_change_of_inputs_or_of_the_published_run_is_something_to_do(tmp_path: Path) -> None:
    data, output = tmp_path / "data", tmp_path / "runs"
    file = write_day(data, 0)

    def retrained() -> bool:
        before = gdpipe.open_run(output).run_id if (output / "latest.json").exists() else ""
        return train(data, output).run_id != before

    assert retrained()
    assert not retrained()
    os.utime(file, ns=(0, 0))
    assert retrained()
    write_day(data, 1)
    assert retrained()
    (data / "day-001.parquet").unlink()
    assert retrained()
    assert not retrained()
    latest = gdpipe.open_run(output).folder
    with (latest / "metrics.parquet").open("ab") as handle:
        handle.write(b"0")
    assert train(data, output).folder != latest
    latest = gdpipe.open_run(output).folder
    manifest = json.loads((latest / "manifest.json").read_text())
    manifest["versions"]["numpy"] = "1.0"
    (latest / "manifest.json").write_text(json.dumps(manifest))
    assert retrained()
    assert not retrained()
    (output / "latest.json").write_text("{")
    assert train(data, output).folder.exists()


def test_filters_of_any_kind_of_value_are_compared(tmp_path: Path) -> None:
    data, output = tmp_path / "data", tmp_path / "runs"
    write_parquet(data / "a.parquet", {**line_columns(60), "day": pd.date_range("2026-01-01", periods=60)})
    settings: dict[str, Any] = {"features": ["x1", "x2"]}
    early, late = ([["day", ">=", pd.Timestamp(f"2026-01-{day}")]] for day in ("10", "20"))
    first = train(data, output, filters=early, **settings)
    assert train(data, output, filters=early, **settings).run_id == first.run_id
    second = train(data, output, filters=late, **settings)
    assert second.manifest["rows"]["read"] == first.manifest["rows"]["read"] - 10


def test_footers_that_say_nothing_cost_one_read_and_not_one_a_night(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, output = tmp_path / "data", tmp_path / "runs"
    for day in range(3):
        write_parquet(data / f"{day}.parquet", line_columns(60, seed=day), write_statistics=day == 1)
    reads: list[str] = []
    read = pq.ParquetFile.iter_batches

    def counted(parquet: pq.ParquetFile, *args: Any, columns: list[str], **more: Any) -> Iterator[pa.RecordBatch]:
        reads.extend(columns if len(columns) == 1 else [])  # one by one: not a scan
        yield from read(parquet, *args, columns=columns, **more)

    monkeypatch.setattr(pq.ParquetFile, "iter_batches", counted)
    first = train(data, output)
    assert sorted(reads) == ["x1", "x1", "x2", "x2", "y", "y"]
    again = train(data, output, force=True)
    assert len(reads) == 6
    assert set(sums(again).values()) == {"kept"}
    assert_same_bits(again, first)


# what is predicted


def test_only_what_is_new_is_predicted_and_the_certificate_covers_the_rest_by_sums(tmp_path: Path) -> None:
    data, output = tmp_path / "data", tmp_path / "runs"
    for day in range(3):
        write_day(data, day, rows=200)
    assert len(train(data, output, predict="new").predictions) == 600  # no run before it: all
    columns = line_columns(150, seed=9)
    write_parquet(data / "odd.parquet", {**columns, "y": columns["y"] + 50})  # not at all on the others' line
    run, full = train(data, output, predict="new"), train(data, tmp_path / "full")
    whole = full.predictions
    new = whole[whole["file"] == "odd.parquet"].reset_index(drop=True)
    pd.testing.assert_frame_equal(run.predictions, new, check_exact=True)
    assert_same_bits(run, full, all_rows=False)
    # the new rows alone are far from the optimum; with the sums of the others they are at it
    assert abs(np.corrcoef(new["residual"], columns["x1"])[0, 1]) < 1
    assert new["residual"].mean() > 10
    assert run.convergence["row_gradient"][0] == pytest.approx(full.convergence["row_gradient"][0], abs=1e-14)
    assert run.metrics[RESIDUAL_METRICS].isna().all(axis=None)
    assert run.parameters["std_error_hc1"].isna().all()


def test_a_month_that_the_filters_have_just_let_in_is_new(tmp_path: Path) -> None:
    data, output = tmp_path / "data", tmp_path / "runs"
    for month in (1, 2, 3):
        write_parquet(data / f"month={month}" / "line.parquet", line_columns(60, seed=month))
    for month in (1, 2, 3):
        run = train(data, output, features=["x1", "x2"], filters=[["month", "<=", month]], predict="new")
        assert set(run.predictions["file"]) == {f"month={month}/line.parquet"}


def test_months_that_the_filters_rule_out_are_listed_and_not_opened(tmp_path: Path) -> None:
    data, output = tmp_path / "data", tmp_path / "runs"
    files = [
        write_parquet(data / f"month={month}" / "line.parquet", line_columns(60, seed=month)) for month in (1, 2, 3)
    ]
    files[0].write_bytes(b"no Parquet at all")
    settings = {"features": ["x1", "x2"], "filters": [["month", ">", 1]]}
    first = train(data, output, **settings)
    known = [
        [entry[name] is not None for name in ("footer_sha256", "rows", "sums")] for entry in first.manifest["inputs"]
    ]
    assert known == [[False] * 3, [True] * 3, [True] * 3]
    assert train(data, output, **settings).run_id == first.run_id  # nothing to do
    os.utime(files[0], (0, 0))
    touched = train(data, output, **settings, predict="new")
    assert touched.run_id != first.run_id
    assert not any(
        "predictions" in entry["path"] for entry in touched.manifest["files"]
    )  # the other months are as before
    write_parquet(files[0], line_columns(60, seed=1))
    assert set(train(data, output, features=["x1", "x2"], predict="new").predictions["file"]) == {
        "month=1/line.parquet"
    }


def test_kept_sums_that_are_not_those_of_the_rows_do_not_pass_where_the_rows_are_read(tmp_path: Path) -> None:
    data, output = tmp_path / "data", tmp_path / "runs"
    for day in range(3):
        write_day(data, day, rows=200)
    train(data, output)
    entry = entries(output)[0]
    forged = json.loads(entry.read_text())
    entry.unlink()
    forged["products"][2] = forged["products"][2] * 10_001 // 10_000  # a little more of x1·y, and sealed again
    Cache(place_at(output)).store(forged.pop("of"), forged)
    with pytest.raises(gdpipe.ConvergenceError, match="row_gradient"):
        train(data, output, force=True)


def test_without_a_second_scan_the_verdict_says_what_it_has_not_seen(tmp_path: Path, opened: list[str]) -> None:
    write_day(tmp_path / "data", 0)
    command = ("train", tmp_path / "data", "--target", "y", "--output", tmp_path / "runs", "--predict", "none")
    done = gdpipe_cli(*command)
    assert done.code == 0, done.err
    assert "not checked against the rows" in done.out
    assert "nan" not in done.out
    assert opened == ["day-000.parquet"]
    run = gdpipe.open_run(tmp_path / "runs")
    assert run.convergence[ROW_CHECKS].isna().all(axis=None)
    page = (run.folder / "report.html").read_text()
    assert "not checked against the rows" in page
    assert "varies. Whether a straight line suits" in page  # and not: off by nan on average
    assert not (run.folder / "predictions").exists()
    with pytest.raises(gdpipe.PublishError, match="no predictions"):
        _ = run.predictions
    assert gdpipe_cli("show", tmp_path / "runs").code == 0
