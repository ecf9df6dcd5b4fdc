"""Footers that are kept, and readers that wait for the next rows of their file."""

import pickle
import threading
from pathlib import Path

import numpy as np
import pytest

from gdpipe.errors import DataError
from gdpipe.source import footer, open_files
from gdpipe.source.open_files import OpenFiles
from gdpipe.source.source import Source
from tests.conftest import write_parquet


@pytest.fixture
def source(tmp_path: Path) -> Source:
    for name in ("a", "b"):
        write_parquet(tmp_path / f"{name}.parquet", {"x": np.arange(10.0), name: np.arange(10)}, row_group_size=2)
    return Source.open(str(tmp_path))


def test_a_reader_is_used_again_for_the_same_file_and_never_by_two_at_once(source: Source) -> None:
    first, second = source.files
    with source.opened.reader(first) as one, source.opened.reader(first) as two:
        assert one is not two
    with source.opened.reader(first) as again:
        assert again in {one, two}
    with source.opened.reader(second) as other:
        assert other.schema_arrow.names == ["x", "b"]


def test_a_reader_that_failed_does_not_come_back(source: Source) -> None:
    with pytest.raises(ZeroDivisionError), source.opened.reader(source.files[0]) as failed:
        raise ZeroDivisionError
    with source.opened.reader(source.files[0]) as anew:
        assert anew is not failed


def test_another_process_parses_a_footer_once_however_many_threads_ask(
    source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = pickle.loads(pickle.dumps(source))  # noqa: S301  # as it is sent to a worker
    assert len(pickle.dumps(source)) < 5000
    assert sent == source
    calls: list[int] = []

    def parsed(content: bytes) -> object:
        calls.append(1)
        return footer.parsed(content)

    monkeypatch.setattr(open_files, "parsed", parsed)
    start = threading.Barrier(8)

    def ask() -> None:
        start.wait()
        with sent.opened.reader(sent.files[0]) as parquet:
            assert parquet.read_row_group(4).column("x").to_pylist() == [8.0, 9.0]

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(calls) == 1


def test_what_is_kept_is_bounded_and_the_last_one_always_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []

    def parsed(content: bytes) -> object:
        calls.append(1)
        return footer.parsed(content)

    for name in range(5):
        write_parquet(tmp_path / f"{name}.parquet", {f"x{name}": [float(name)]})
    size = len((tmp_path / "0.parquet").read_bytes())  # more than its footer
    monkeypatch.setattr(open_files, "parsed", parsed)
    monkeypatch.setattr(open_files, "KEPT_BYTES", size)
    files = Source.open(str(tmp_path)).files
    opened = OpenFiles(Source.open(str(tmp_path)).opened.filesystem)
    calls.clear()
    for _ in range(3):
        for file in files:
            assert list(opened.bounds(file, file.schema.names))
            assert list(opened.bounds(file, file.schema.names))  # the last one
    assert 5 + 2 * 2 <= len(calls) <= 5 + 2 * 4  # those that came first stay


def test_a_file_that_has_another_footer_by_now_is_not_read(source: Source, tmp_path: Path) -> None:
    file = source.files[0]
    write_parquet(tmp_path / "a.parquet", {"x": ["text"]})
    with pytest.raises(DataError, match=r"a\.parquet: was changed"), source.opened.reader(file):
        pass
    # what was parsed describes the file as it was
    assert [g for g, _ in source.opened.bounds(file, ["x"])] == [0, 1, 2, 3, 4]
    with pytest.raises(DataError, match=r"a\.parquet: was changed"):
        list(OpenFiles(source.opened.filesystem).bounds(file, ["x"]))
