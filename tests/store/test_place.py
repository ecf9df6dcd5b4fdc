"""A place that files are kept in, on a disk and in a bucket."""

import os
import pickle
from pathlib import Path
from typing import Any

import pytest

from gdpipe.errors import ConfigError, PublishError
from gdpipe.layout import signed
from gdpipe.store.bucket import BucketPlace
from gdpipe.store.disk import DiskPlace
from gdpipe.store.place import Place, Sink
from gdpipe.store.runs import place_at
from gdpipe.store.writer import write_text
from tests.conftest import snapshot, staged
from tests.s3 import Server


@pytest.fixture(params=["disk", "bucket"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    if request.param == "disk":
        return place_at(tmp_path / "größe und mehr")
    server, bucket = request.getfixturevalue("s3"), request.getfixturevalue("bucket")
    return place_at(server.uri(f"{bucket}/größe und mehr"))


def test_files_are_kept_replaced_listed_and_removed(place: Place) -> None:
    assert (place.files("moments"), place.folders(), place.exists("moments")) == ({}, [], False)
    place.write("moments/ä b/1.bin", b"old")
    place.write("moments/ä b/1.bin", b"new")
    place.write("moments/2.bin", b"")
    assert place.read("moments/ä b/1.bin") == b"new"
    assert list(place.files("moments")) == ["moments/2.bin", "moments/ä b/1.bin"]
    assert list(place.below("moments").files("ä b")) == ["ä b/1.bin"]
    assert place.folders("moments") == ["ä b"]
    assert place.exists("moments/2.bin")
    assert place.exists("moments")
    place.delete("moments/2.bin")
    place.delete("moments/2.bin")
    place.delete("moments/ä b")
    assert place.files() == {}
    with pytest.raises(FileNotFoundError):
        place.read("moments/2.bin")


def test_a_place_travels_to_another_process(place: Place) -> None:
    elsewhere: Place = pickle.loads(pickle.dumps(place.below("runs")))  # noqa: S301  # our own
    record = write_text(elsewhere, "r1/x.txt", "content")
    assert place.read("runs/r1/x.txt") == b"content"
    assert (record.path, record.bytes) == ("r1/x.txt", 7)
    assert str(elsewhere) == str(place.below("runs"))


@pytest.mark.parametrize("path", ["../x", "a/../../x", "/etc/passwd", "a/..", "a\0b"])
def test_no_path_leads_out(place: Place, path: str) -> None:
    for use in (place.read, place.files, place.delete, place.below, place.create, place.exists):
        with pytest.raises(PublishError, match="leads out of it"):
            use(path)


def test_what_is_kept_is_what_was_written(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Sink.write

    def flipped(sink: Sink, content: Any) -> int:
        handle = sink._handle
        real(sink, content)
        handle.write(b"!")
        return len(content)

    monkeypatch.setattr(Sink, "write", flipped)
    with pytest.raises(PublishError, match=r"x\.txt.* does not read back as it was written"):
        write_text(place, "x.txt", "content")


def test_which_kind_a_location_means(tmp_path: Path, s3: Server) -> None:
    assert isinstance(place_at(tmp_path), DiskPlace)
    assert str(place_at(f"file://{tmp_path}/a%20b")) == str(tmp_path / "a b")
    kept = place_at(s3.uri("bucket/a b/", user="key:secret@"))
    assert isinstance(kept, BucketPlace)
    assert str(kept.below("runs/x")) == s3.uri("bucket/a b/runs/x")
    assert str(place_at("runs").below("runs/x")) == "runs/runs/x"
    with pytest.raises(ConfigError, match="'nowhere://bucket'"):
        place_at("nowhere://bucket")


def test_a_file_on_a_disk_is_replaced_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = place_at(tmp_path)
    place.write("x", b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space"):
            place.write("x", b"new")
    assert snapshot(tmp_path) == {"x": b"old"}


def test_what_a_killed_writer_left_is_cleared_and_a_living_one_is_not(tmp_path: Path) -> None:
    place = place_at(tmp_path)
    place.write(f".staging/{signed('0123456789abcdef' * 2)}.part", b"half")
    place.write(f".staging/{signed('without-a-lock')}/x", b"written by a worker after its run had ended")
    lease = place.lease("r1")
    assert lease is not None
    place.clear_dead()
    assert place.lease("r1") is None
    assert staged(tmp_path) == [f"{signed('r1')}.lock"]
    lease.release()
    assert staged(tmp_path) == []
