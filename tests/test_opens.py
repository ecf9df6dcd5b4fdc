"""A run looks once: each footer is parsed once, the run before is read once, however many stages ask."""

from collections import Counter
from pathlib import Path
from typing import Any

import fsspec  # type: ignore[import-untyped]  # it has no types
import numpy as np
import pyarrow.fs as pafs
import pyarrow.parquet as pq
import pytest

import gdpipe
from gdpipe.engine import open_executor, worker_count
from gdpipe.pipeline import Steps
from gdpipe.pipeline import train as train_in_steps
from gdpipe.source import footer, listing, open_files, scan
from gdpipe.source.footer import read_footer
from gdpipe.stages.plan import plan
from gdpipe.stages.previous import Start
from gdpipe.stages.standardize import standardize
from gdpipe.store.disk import DiskPlace
from tests.conftest import line_columns, write_parquet

FILES = 3


class Counts:
    """What was looked at, by name of the file."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.parsed, self.checked, self.opened, self.read = (Counter[str]() for _ in range(4))

    def clear(self) -> None:
        for counter in (self.parsed, self.checked, self.opened, self.read):
            counter.clear()

    def name_of(self, content: bytes) -> str:
        """The input file that has this footer; nothing where none has, as with artifacts."""
        return next((file.name for file in self.data.iterdir() if content in file.read_bytes()), "")


@pytest.fixture
def counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Counts:
    """Counters around the real ways in: Arrow's parser, the check of a footer, opened inputs, files of the output."""
    counts = Counts(tmp_path / "data")

    class Reader(pq.core.ParquetReader):  # type: ignore[misc]  # PyArrow has no types
        def open(self, source: Any, *args: Any, metadata: Any = None, **more: Any) -> Any:
            if metadata is None:
                counts.parsed[counts.name_of(read_footer("", source))] += 1
            return super().open(source, *args, metadata=metadata, **more)

    class Files(pafs.FSSpecHandler):  # type: ignore[misc]  # likewise
        def open_input_file(self, path: str) -> Any:
            counts.opened[Path(path).name] += 1
            return super().open_input_file(path)

    check, read = footer.check_footer, DiskPlace.read

    def checked(path: str, content: bytes) -> None:
        counts.checked[counts.name_of(content)] += 1
        check(path, content)

    def read_counted(place: DiskPlace, path: str) -> bytes:
        counts.read[str(place.below(path))] += 1
        return read(place, path)

    filesystem = pafs.PyFileSystem(Files(fsspec.filesystem("file")))
    monkeypatch.setattr(listing, "open_location", lambda location: (filesystem, location))
    monkeypatch.setattr(pq.core, "ParquetReader", Reader)
    monkeypatch.setattr(open_files, "check_footer", checked)
    monkeypatch.setattr(DiskPlace, "read", read_counted)
    return counts


def write_files(data: Path, **options: Any) -> list[str]:
    for day in range(FILES):
        write_parquet(data / f"{day}.parquet", line_columns(60 + day, seed=day), **options)
    return sorted(file.name for file in data.iterdir())


def once(names: list[str]) -> dict[str, int]:
    return dict.fromkeys(names, 1)


def of_inputs(counter: Counter[str]) -> dict[str, int]:
    return {name: count for name, count in counter.items() if name}


def train(data: Path, output: Path, **settings: Any) -> gdpipe.Run:
    return gdpipe.train(source=str(data), target="y", output=str(output), **{"report": False, **settings})


@pytest.mark.parametrize(
    ("options", "settings"),
    [
        ({}, {}),
        ({}, {"filters": [["x1", ">", -0.5]]}),
        ({"write_statistics": False}, {}),
        ({"write_statistics": False}, {"filters": [["x1", ">", -0.5]]}),
        ({"row_group_size": 7}, {}),
    ],
    ids=["plain", "filters", "no statistics", "no statistics, filters", "several shards"],
)
def test_footers_and_the_run_before_are_looked_at_once(
    options: dict[str, Any], settings: dict[str, Any], tmp_path: Path, counts: Counts, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, output = tmp_path / "data", tmp_path / "runs"
    names = write_files(data, **options)
    monkeypatch.setattr(scan.shards, "__defaults__", (1,))  # each row group is a shard
    pointer, scans = str(output / "latest.json"), 2 + ("write_statistics" in options)
    in_a_scan = worker_count() if "row_group_size" in options else 1

    def assert_once(previous: gdpipe.Run) -> None:
        assert of_inputs(counts.parsed) == of_inputs(counts.checked) == once(names)
        looked = {path: count for path, count in counts.read.items() if previous.run_id in path or path == pointer}
        assert looked == {pointer: 1, str(previous.folder / "manifest.json"): 1}

    first = train(data, output, **settings)
    assert of_inputs(counts.parsed) == of_inputs(counts.checked) == once(names)
    assert all(2 <= counts.opened[name] <= 1 + scans * in_a_scan for name in names)

    counts.clear()
    assert train(data, output, **settings).run_id == first.run_id  # nothing to do
    assert_once(first)
    assert counts.opened == once(names)

    counts.clear()
    second = train(data, output, force=True, max_rmse_increase="900%", **settings)
    assert_once(first)
    assert second.manifest["gate"]["previous_run_id"] == first.run_id

    counts.clear()
    write_parquet(data / "more.parquet", line_columns(70, seed=9), **options)
    names.append("more.parquet")
    third = train(data, output, predict="new", **settings)
    assert_once(second)
    assert set(third.predictions["file"]) == {"more.parquet"}


def test_a_plan_parses_a_footer_once(tmp_path: Path, counts: Counts) -> None:
    names = write_files(tmp_path / "data")
    with open_executor() as executor:
        plan(gdpipe.TrainingConfig(source=str(tmp_path / "data"), target="y"), executor)
    assert of_inputs(counts.parsed) == of_inputs(counts.checked) == once(names)


def test_footers_beyond_the_bound_are_parsed_again_and_give_the_same_bits(
    tmp_path: Path, counts: Counts, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = write_files(tmp_path / "data")
    first = train(tmp_path / "data", tmp_path / "kept")
    counts.clear()
    monkeypatch.setattr(open_files, "KEPT_BYTES", 0)
    second = train(tmp_path / "data", tmp_path / "not kept")
    # the last one stays, which here is the next one asked for only by chance
    assert all(2 <= counts.parsed[name] <= 4 for name in names[:-1])
    assert of_inputs(counts.checked) == once(names)
    np.testing.assert_array_equal(first.predictions["prediction"], second.predictions["prediction"])


def test_a_run_that_is_published_meanwhile_changes_no_answer(tmp_path: Path) -> None:
    data, output = tmp_path / "data", tmp_path / "runs"
    write_files(data)
    first = train(data, output, tolerance=1e-6)
    meanwhile: list[gdpipe.Run] = []

    def publishing(config: Any, ingested: Any) -> Any:
        meanwhile.append(train(data, output, tolerance=1e-7))
        return standardize(config, ingested)

    config = gdpipe.TrainingConfig(source=str(data), target="y", output=str(output), predict="new", report=False)
    write_parquet(data / "more.parquet", line_columns(60, seed=9))
    run = train_in_steps(config, Steps(standardize=publishing))
    assert set(run.predictions["file"]) == {"more.parquet"}
    assert run.manifest["drift"]["since"] == first.run_id != meanwhile[0].run_id


def test_a_stage_that_is_tried_again_lists_the_source_anew(tmp_path: Path) -> None:
    names = write_files(tmp_path / "data")
    start = Start(gdpipe.TrainingConfig(source=str(tmp_path / "data"), target="y"))
    opened = start.source
    write_parquet(tmp_path / "data" / "more.parquet", line_columns(70, seed=9))
    assert start.take_source() is opened
    assert [file.name for file in start.take_source().files] == [*names, "more.parquet"]
