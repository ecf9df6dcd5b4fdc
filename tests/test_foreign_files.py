"""Files of others in an output, and output folders that are links: nothing of them is ever removed or replaced."""

import datetime
import json
import os
import re
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

import gdpipe
from gdpipe.layout import signed
from gdpipe.pipeline import Steps
from gdpipe.store import bucket as buckets
from gdpipe.store.place import Place
from gdpipe.store.runs import Staging, place_at
from gdpipe.store.writer import write_text
from tests.conftest import gdpipe_cli, snapshot, staged
from tests.faults import in_another_process, killed_at
from tests.runs import gdpipe_retrain, scores_manifest
from tests.s3 import Server

HEX = "0123456789abcdef" * 4
# what other programs and people keep under such names; TensorBoard has runs/, a lock of theirs is empty as ours
FOREIGN = (
    "README.md",
    "runs/README.txt",
    "runs/Nov05_10-11-12_host/events.out.tfevents.1",
    "runs/r1.bak/manifest.json",
    "runs/dbt/manifest.json",
    "rejected/2026/photo.jpg",
    "rejected/parameters.parquet",
    ".staging/notes/todo.txt",
    ".staging/r1/x.parquet",
    ".staging/r1.lock",
    ".staging/poetry.lock",
    ".staging/download.part",
    f".staging/{HEX[:32]}.part",
    f".staging/r1-{HEX[:16]}/x.parquet",
    f".staging/r1-{HEX[:16]}.lock",
    ".staging/uploads/claim",
    ".staging/r1/claim",
    "moments/notes.txt",
    f"moments/{HEX}-0.json",
    f"moments/{HEX}.json",
    f"moments/{HEX}-{HEX}.parquet",
    f"moments/{HEX.upper()}-{HEX.upper()}.json",
    f"moments/deep/{HEX}-{HEX}.json",
)


def content(path: str) -> bytes:
    return f"theirs: {path}".encode() if not path.endswith("manifest.json") else b'{"metadata": {"dbt_version": "1.9"}}'


def planted(place: Place) -> None:
    """Put the foreign files there, on a disk or in a bucket."""
    for path in FOREIGN:
        put(place, path, content(path))


def put(place: Place, path: str, content: bytes) -> None:
    """Write a file as another program does."""
    if place.filesystem.type_name == "local":
        Path(place.full(path)).parent.mkdir(parents=True, exist_ok=True)
    with place.filesystem.open_output_stream(place.full(path)) as stream:
        stream.write(content)


def published(place: Place, run_id: str) -> None:
    """Publish a run of two small files."""
    with Staging(place.location, run_id) as staging:
        texts = [write_text(staging.folder, path, run_id) for path in ("x.txt", "predictions/part-00000.txt")]
        staging.publish({**scores_manifest(run_id, *texts), "created": run_id})


def lost(place: Place) -> list[str]:
    there = place.files()
    return [path for path in FOREIGN if path not in there or place.read(path) != content(path)]


@pytest.fixture(params=["disk", "bucket"])
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """An output with files of others in it; in a bucket, all that is there is old enough to be cleared."""
    if request.param == "disk":
        place = place_at(tmp_path / "project")
    else:
        monkeypatch.setattr(buckets, "DEAD_AFTER", datetime.timedelta(seconds=-10))
        bucket = request.getfixturevalue("bucket")
        place = place_at(request.getfixturevalue("s3").uri(f"{bucket}/project"))
    planted(place)
    return place


def test_files_of_others_outlive_every_command(place: Place, data: Path) -> None:
    output = place.location
    said = gdpipe_retrain(data, output, "--run-id", "a")
    assert said.code == 0, said.err
    assert len(re.findall(r"^not made by gdpipe.*'download\.part'", said.out, re.MULTILINE)) == 1
    assert lost(place) == []
    assert gdpipe_retrain(data, output, "--run-id", "window", "--no-latest", "--filters", '[["x1", ">", 0]]').code == 0
    for run_id in ("bad", "worse"):
        assert gdpipe_retrain(data, output, "--run-id", run_id, "--max-iterations", 1).code == 1
    assert gdpipe_cli("predict", data, "--run", output, "--output", output, "--run-id", "scores").code == 0
    assert lost(place) == []
    pruned = gdpipe_cli("prune", output, "--keep", 1, "--rejected")
    assert (pruned.code, pruned.err) == (0, ""), pruned
    for path in ("runs/a", "runs/window", "rejected/bad"):
        assert len(re.findall(f"^removing {re.escape(str(place.below(path)))}$", pruned.out, re.MULTILINE)) == 1
        assert not place.exists(path)
    assert pruned.out.count("left alone in") == 2  # runs and staging in one line, rejected in another
    assert lost(place) == []
    assert gdpipe_cli("verify", output).code == 0


def test_files_of_others_outlive_a_run_that_fails(place: Place, data: Path) -> None:
    def broken(*_: Any) -> None:
        raise gdpipe.PublishError("broken")

    config = gdpipe.TrainingConfig(source=str(data), target="y", output=place.location, run_id="r1")
    with pytest.raises(gdpipe.PublishError, match="broken"):
        gdpipe.pipeline.train(config, Steps(decide=broken))
    assert lost(place) == []


def test_a_folder_that_appears_at_a_runs_place_meanwhile_is_not_taken_for_it(tmp_path: Path) -> None:
    with Staging(tmp_path, "r1") as staging:
        write_text(staging.folder, "x.txt", "x")
        put(staging.output, "runs/r1/theirs.txt", b"x")
        with pytest.raises(
            gdpipe.PublishError, match="was made by another program meanwhile; move it away and run again"
        ):
            staging.publish({"schema_version": 1, "kind": "training", "run_id": "r1", "files": []})
    assert snapshot(tmp_path) == {"runs/r1/theirs.txt": b"x"}


# a run that has files of others in its folder


@pytest.mark.parametrize("strays", [("notes.txt", "pictures/loss.png"), ("predictions/part-00000.csv", ".DS_Store")])
def test_a_run_with_a_file_of_others_in_it_is_not_pruned(place: Place, strays: tuple[str, str]) -> None:
    for run_id in ("a", "b", "c", "d"):
        published(place, run_id)
    before: dict[str, bytes] = {}
    for run_id, stray in zip("ab", strays, strict=True):
        put(place, f"runs/{run_id}/{stray}", b"theirs")
        before |= {path: place.read(path) for path in place.files(f"runs/{run_id}")}
    done = gdpipe_cli("prune", place.location, "--keep", 1)
    assert done.code == 0, done
    for run_id, stray in zip("ab", strays, strict=True):
        assert f"runs/{run_id} with {stray.removesuffix('/loss.png')}" in done.out
    assert {path: place.read(path) for path in before} == before
    assert (place.exists("runs/c"), place.exists("runs/d")) == (False, True)
    assert lost(place) == []


def test_a_copy_of_a_run_and_links_in_or_to_a_run_are_not_pruned(data: Path, tmp_path: Path) -> None:
    output, elsewhere = tmp_path / "runs", tmp_path / "elsewhere"
    for run_id in ("a", "b", "c", "d"):
        assert gdpipe_retrain(data, str(output), "--run-id", run_id).code == 0
    shutil.copytree(output / "runs" / "a", output / "runs" / "a-copy")
    shutil.move(output / "runs" / "b", elsewhere / "b")
    (output / "runs" / "b").symlink_to(elsewhere / "b")
    shutil.move(output / "runs" / "c" / "predictions", elsewhere / "predictions")
    (output / "runs" / "c" / "predictions").symlink_to(elsewhere / "predictions")
    before = snapshot(elsewhere)
    done = gdpipe_cli("prune", output, "--keep", 1)
    assert sorted(path.name for path in (output / "runs").iterdir()) == ["a-copy", "b", "c", "d"], done
    assert snapshot(elsewhere) == before
    for words in ("'runs/a-copy'", "runs/b with a symbolic link", "runs/c with predictions"):
        assert words in done.out


# killed


def test_files_of_others_outlive_kills_on_a_disk(data: Path, tmp_path: Path) -> None:
    output = tmp_path / "project"
    place = place_at(output)
    planted(place)
    before = staged(output)
    train = ("train", data, "--target", "y", "--output", output, "--no-report", "--force", "--run-id", "r1")
    for n in range(4, 90, 17):
        if not killed_at(n, output, *train):
            break
        assert lost(place) == [], n
        shutil.rmtree(output / "runs" / "r1", ignore_errors=True)
    assert killed_at(20, output, *train[:-1], "r2")
    assert {signed("r2"), f"{signed('r2')}.lock"} <= set(staged(output))
    done = gdpipe_cli(*train[:-1], "r3")
    assert (done.code, f"removing {output / '.staging' / signed('r2')}: " in done.out) == (0, True)
    assert staged(output) == before
    for n in range(1, 12, 3):
        killed_at(n, output, "prune", output, "--keep", 1)
        assert lost(place) == [], n


@pytest.mark.parametrize("cut", ["loss_history", "manifest.json", "latest.json"])
def test_what_a_killed_run_copied_in_a_bucket_is_told_from_what_is_not_its(
    s3: Server, bucket: str, monkeypatch: pytest.MonkeyPatch, cut: str, data: Path
) -> None:
    place = place_at(s3.uri(f"{bucket}/project"))
    planted(place)
    train = ("train", data, "--target", "y", "--output", place.location, "--no-report", "--run-id", "dead")
    assert in_another_process(_until_copied, cut, train) == (-signal.SIGKILL, [])
    # somebody's beside what was copied, and a whole run of theirs that has no manifest
    put(place, "runs/dead/theirs.txt", b"x")
    put(place, "runs/mine/parameters.parquet", b"x")
    published(place, "next")  # a day has not passed
    assert place.files(f".staging/{signed('dead')}")
    monkeypatch.setattr(buckets, "DEAD_AFTER", datetime.timedelta(seconds=-10))
    published(place, "later")
    left = set(place.below("runs/dead").files())
    assert left == {"theirs.txt"} if cut != "latest.json" else {"theirs.txt", "manifest.json"} < left
    assert place.read("runs/mine/parameters.parquet") == b"x"
    assert not place.files(f".staging/{signed('dead')}")
    assert lost(place) == []


def _until_copied(cut: str, command: tuple[object, ...]) -> None:
    """Die by SIGKILL where a file of that name would be copied to its final place, or be replaced."""
    real_copy, real_write = buckets._BucketLease._copy, buckets.BucketPlace.write

    def die_at(path: str) -> None:
        if cut in path:
            os.kill(os.getpid(), signal.SIGKILL)

    def copy(hold: Any, files: Any, staged: Place, final: Place) -> None:
        for file in files:
            die_at(file)
            real_copy(hold, [file], staged, final)

    def write(place: Any, path: str, content: bytes, **options: Any) -> None:
        die_at(path)
        real_write(place, path, content, **options)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(buckets._BucketLease, "_copy", copy)
        patched.setattr(buckets.BucketPlace, "write", write)
        gdpipe_cli(*command)


def test_a_run_that_was_being_pruned_in_a_bucket_is_removed_to_its_end(
    s3: Server, bucket: str, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = place_at(s3.uri(f"{bucket}/project"))
    planted(place)
    for run_id in ("old", "new"):
        assert gdpipe_retrain(data, place.location, "--run-id", run_id).code == 0

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:  # as a kill has it: neither the rest nor the staging is removed
        patched.setattr(buckets.BucketPlace, "withdraw", killed)
        patched.setattr(buckets._BucketLease, "release", lambda _: None)
        assert gdpipe_cli("prune", place.location, "--keep", 1).code == 130
    assert "manifest.json" not in place.below("runs/old").files()
    assert place.files("runs/old")
    place.write("runs/old/theirs.txt", b"x")
    monkeypatch.setattr(buckets, "DEAD_AFTER", datetime.timedelta(seconds=-10))
    assert gdpipe_cli("prune", place.location, "--keep", 1).code == 0
    assert list(place.below("runs/old").files()) == ["theirs.txt"]
    assert place.exists("runs/new/manifest.json")
    assert lost(place) == []


def test_a_run_that_failed_while_it_was_copied_takes_its_copies_along(
    s3: Server, bucket: str, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = place_at(s3.uri(f"{bucket}/project"))
    real = buckets._BucketLease._copy

    def half(hold: Any, files: Any, staged: Place, final: Place) -> None:
        real(hold, list(files)[:2], staged, final)
        place.write(f"{final.inside}/theirs.txt", b"x")
        raise OSError("AWS Error ACCESS_DENIED")

    monkeypatch.setattr(buckets._BucketLease, "_copy", half)
    assert gdpipe_retrain(data, place.location, "--run-id", "r1").code == 4
    assert list(place.files("runs")) == ["runs/r1/theirs.txt"]
    assert not place.files(".staging")


def test_a_latest_json_of_another_program_is_not_replaced(place: Place, data: Path) -> None:
    theirs = json.dumps({"version": "1.2.3", "url": "https://example.org/app.zip"}).encode()
    put(place, "latest.json", theirs)
    done = gdpipe_retrain(data, place.location)
    assert (done.code, f"{place.below('latest.json')} is not gdpipe's" in done.err) == (4, True), done
    assert place.read("latest.json") == theirs
