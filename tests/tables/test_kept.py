"""What is kept between runs: whole under its name, or not there."""

import threading
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gdpipe.errors import PublishError
from gdpipe.tables.kept import Kept, key_of
from gdpipe.tables.store import place_at

TABLE, OTHER = pa.table({"x": [1, 2, 3]}), pa.table({"x": [1, 2, 4]})
KEY = key_of({"file": "a", "columns": ["x"]})


def entries(output: Path) -> list[Path]:
    return sorted((output / "moments").iterdir())


def test_what_was_stored_is_loaded_by_whoever_looks_next(tmp_path: Path) -> None:
    Kept(place_at(tmp_path)).store(KEY, TABLE)
    assert Kept(place_at(tmp_path)).load(KEY) == TABLE
    assert Kept(place_at(tmp_path)).load(key_of("another")) is None
    assert Kept(place_at(tmp_path / "nowhere")).load(KEY) is None
    assert not (tmp_path / "nowhere").exists()


def test_a_key_is_of_the_description_and_not_of_its_order() -> None:
    assert key_of({"a": 1, "b": [None, "c"]}) == key_of({"b": [None, "c"], "a": 1})
    assert len({key_of(value) for value in ({"a": 1}, {"a": "1"}, {"a": [1]}, {"a": None}, {"b": 1})}) == 5


def test_an_entry_with_other_content_than_its_name_says_is_not_used(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    Kept(place_at(tmp_path)).store(KEY, TABLE)
    [entry] = entries(tmp_path)
    pq.write_table(OTHER, entry, compression="zstd")  # good Parquet, and wrong
    assert Kept(place_at(tmp_path)).load(KEY) is None
    assert str(entry) in caplog.text
    assert entries(tmp_path) == []


def test_no_byte_of_an_entry_can_flip_unseen(tmp_path: Path) -> None:
    """Parquet's reader may abort the process on a flipped footer: it must never see one."""
    Kept(place_at(tmp_path)).store(KEY, TABLE)
    [entry] = entries(tmp_path)
    content = entry.read_bytes()
    for place in range(len(content)):
        entry.write_bytes(content[:place] + bytes([content[place] ^ 0x10]) + content[place + 1 :])
        assert Kept(place_at(tmp_path)).load(KEY) is None, place
    for length in range(0, len(content), 50):
        entry.write_bytes(content[:length])
        assert Kept(place_at(tmp_path)).load(KEY) is None, length


def test_an_entry_that_cannot_be_removed_or_read_is_no_hindrance(tmp_path: Path) -> None:
    (tmp_path / "moments" / f"{KEY}-0.parquet").mkdir(parents=True)
    assert Kept(place_at(tmp_path)).load(KEY) is None
    Kept(place_at(tmp_path)).store(KEY, TABLE)
    assert Kept(place_at(tmp_path)).load(KEY) == TABLE


def test_what_is_not_named_as_an_entry_is_neither_read_nor_removed(tmp_path: Path) -> None:
    names = [
        f"{KEY}-{'0' * 63}.parquet",
        f"{KEY}-mine.parquet",
        f"{KEY}-{'0' * 64}.parquet.bak",
        f"{KEY}-{'A' * 64}.parquet",
    ]
    names += [f"{KEY}-{'0' * 64}/{KEY}-{'0' * 64}.parquet", f"{KEY}.parquet", KEY]
    for name in names:
        path = tmp_path / "moments" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"theirs")
    kept = Kept(place_at(tmp_path))
    assert kept.load(KEY) is None
    kept.discard(KEY, "it is of something else")
    assert all((tmp_path / "moments" / name).read_bytes() == b"theirs" for name in names)


def test_the_folder_may_be_emptied_meanwhile(tmp_path: Path) -> None:
    Kept(place_at(tmp_path)).store(KEY, TABLE)
    looking = Kept(place_at(tmp_path))
    for entry in entries(tmp_path):
        entry.unlink()
    assert looking.load(KEY) is None


def test_what_cannot_be_written_is_said_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(PublishError, match="No space left"):
        Kept(place_at(tmp_path)).store(KEY, TABLE)
    assert entries(tmp_path) == []


def test_many_at_once_leave_whole_entries(tmp_path: Path) -> None:
    def work(number: int) -> None:
        for i in range(20):
            Kept(place_at(tmp_path)).store(key_of(i), pa.table({"i": [i]}))
            Kept(place_at(tmp_path)).store(key_of([number, i]), pa.table({"n": [number]}))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(entries(tmp_path)) == 20 + 4 * 20
    assert all(Kept(place_at(tmp_path)).load(key_of(i)) == pa.table({"i": [i]}) for i in range(20))
