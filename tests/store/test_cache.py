"""What is kept between runs: whole under its name, or not there."""

import hashlib
import json
import threading
from pathlib import Path
from typing import Any

import pytest

from gdpipe.errors import PublishError
from gdpipe.store.cache import Cache, key_of
from gdpipe.store.runs import place_at

ENTRY, OTHER = {"x": [1, 2**200, 3]}, {"x": [1, 2**200, 4]}
OF = {"file": "a", "columns": ["x"]}
KEY = key_of(OF)


def entries(output: Path) -> list[Path]:
    return sorted((output / "moments").iterdir())


def test_what_was_stored_is_loaded_by_whoever_looks_next(tmp_path: Path) -> None:
    Cache(place_at(tmp_path)).store(OF, ENTRY)
    assert Cache(place_at(tmp_path)).load(OF) == ENTRY
    assert Cache(place_at(tmp_path)).load("another") is None
    assert Cache(place_at(tmp_path / "nowhere")).load(OF) is None
    assert not (tmp_path / "nowhere").exists()


def test_a_key_is_of_the_description_and_not_of_its_order() -> None:
    assert key_of({"a": 1, "b": [None, "c"]}) == key_of({"b": [None, "c"], "a": 1})
    assert len({key_of(value) for value in ({"a": 1}, {"a": "1"}, {"a": [1]}, {"a": None}, {"b": 1})}) == 5


def test_an_entry_with_other_content_than_its_name_says_is_not_used(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    Cache(place_at(tmp_path)).store(OF, ENTRY)
    [entry] = entries(tmp_path)
    entry.write_text(json.dumps({"of": OF, **OTHER}))  # good JSON, and wrong
    assert Cache(place_at(tmp_path)).load(OF) is None
    assert str(entry) in caplog.text
    assert entries(tmp_path) == []


DEEP = "[" * 100_000 + "]" * 100_000
SEALED = {
    "of another": json.dumps({"of": "another", **ENTRY}),
    "of nothing": json.dumps(ENTRY),
    "a list": json.dumps([OF, ENTRY]),
    "a number": "1",
    "no JSON": "{",
    "no text": b"\xff",
    "nested too deep": f'{{"of": {DEEP}}}',
    "an integer of 5,000 digits": json.dumps({"of": OF})[:-1] + f', "x": {"1" * 5000}}}',
    "Parquet of an earlier version": b"PAR1",
}


@pytest.mark.parametrize("content", SEALED.values(), ids=SEALED)
def test_what_is_sealed_and_no_entry_is_not_used(
    content: str | bytes, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    written = content if isinstance(content, bytes) else content.encode()
    seal = hashlib.sha256(KEY.encode() + written).hexdigest()
    path = tmp_path / "moments" / f"{KEY}-{seal}.json"
    path.parent.mkdir()
    path.write_bytes(written)
    assert Cache(place_at(tmp_path)).load(OF) is None
    [line] = caplog.messages
    assert line.startswith(f"removing {path}: damaged (")
    assert len(line.splitlines()) == 1
    assert entries(tmp_path) == []


def test_an_entry_says_what_it_is_of(tmp_path: Path) -> None:
    of: Any = {"file": "b\udcff", "silent": [(0, ["x"])], "nothing": None}
    Cache(place_at(tmp_path)).store(of, ENTRY)
    [entry] = entries(tmp_path)
    assert json.loads(entry.read_text()) == {"of": {**of, "silent": [[0, ["x"]]]}, **ENTRY}
    assert Cache(place_at(tmp_path)).load(of) == ENTRY


def test_entries_of_earlier_versions_are_neither_read_nor_removed(tmp_path: Path) -> None:
    Cache(place_at(tmp_path)).store(OF, ENTRY)
    [entry] = entries(tmp_path)
    old = entry.rename(entry.with_suffix(".parquet"))
    cache = Cache(place_at(tmp_path))
    assert cache.load(OF) is None
    cache.discard(OF, "of no use")
    assert entries(tmp_path) == [old]


def test_no_byte_of_an_entry_can_flip_unseen(tmp_path: Path) -> None:
    Cache(place_at(tmp_path)).store(OF, ENTRY)
    [entry] = entries(tmp_path)
    content = entry.read_bytes()
    for place in range(len(content)):
        entry.write_bytes(content[:place] + bytes([content[place] ^ 0x10]) + content[place + 1 :])
        assert Cache(place_at(tmp_path)).load(OF) is None, place
    for length in range(0, len(content), 50):
        entry.write_bytes(content[:length])
        assert Cache(place_at(tmp_path)).load(OF) is None, length


def test_an_entry_that_cannot_be_removed_or_read_is_no_hindrance(tmp_path: Path) -> None:
    (tmp_path / "moments" / f"{KEY}-0.json").mkdir(parents=True)
    assert Cache(place_at(tmp_path)).load(OF) is None
    Cache(place_at(tmp_path)).store(OF, ENTRY)
    assert Cache(place_at(tmp_path)).load(OF) == ENTRY


def test_what_is_not_named_as_an_entry_is_neither_read_nor_removed(tmp_path: Path) -> None:
    names = [f"{KEY}-{'0' * 63}.json", f"{KEY}-mine.json", f"{KEY}-{'0' * 64}.json.bak", f"{KEY}-{'A' * 64}.json"]
    names += [f"{KEY}-{'0' * 64}/{KEY}-{'0' * 64}.json", f"{KEY}.json", KEY]
    for name in names:
        path = tmp_path / "moments" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"theirs")
    kept = Cache(place_at(tmp_path))
    assert kept.load(OF) is None
    kept.discard(OF, "it is of something else")
    assert all((tmp_path / "moments" / name).read_bytes() == b"theirs" for name in names)


def test_the_folder_may_be_emptied_meanwhile(tmp_path: Path) -> None:
    Cache(place_at(tmp_path)).store(OF, ENTRY)
    looking = Cache(place_at(tmp_path))
    for entry in entries(tmp_path):
        entry.unlink()
    assert looking.load(OF) is None


def test_what_cannot_be_written_is_said_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(PublishError, match="No space left"):
        Cache(place_at(tmp_path)).store(OF, ENTRY)
    assert entries(tmp_path) == []


def test_many_at_once_leave_whole_entries(tmp_path: Path) -> None:
    def work(number: int) -> None:
        for i in range(20):
            Cache(place_at(tmp_path)).store(i, {"i": [i]})
            Cache(place_at(tmp_path)).store([number, i], {"n": [number]})

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(entries(tmp_path)) == 20 + 4 * 20
    assert all(Cache(place_at(tmp_path)).load(i) == {"i": [i]} for i in range(20))
