"""Writing a run: checksums, staging, and the one atomic switch."""

import fcntl
import hashlib
import itertools
import json
import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gdpipe.errors import ConfigError, PublishError
from gdpipe.layout import signed
from gdpipe.run import open_run
from gdpipe.store import runs as store
from gdpipe.store.disk import DiskPlace
from gdpipe.store.pruning import prune
from gdpipe.store.runs import Staging, place_at
from gdpipe.store.writer import TableWriter, output_errors, write_table, write_text
from tests.conftest import gdpipe_cli, snapshot, staged
from tests.runs import scores_manifest

TABLE = pa.table(
    {"x": [1.5, None], "t": ["a", "b"]},
    schema=pa.schema(
        [pa.field("x", pa.float64(), metadata={"unit": "m", "meaning": "length"}), pa.field("t", pa.string())],
        metadata={"gdpipe.run_id": "r1"},
    ),
)


def publish(output: Path, run_id: str, table: pa.Table = TABLE) -> Path:
    with Staging(output, run_id) as staging:
        table_file = write_table(staging.folder, "predictions/x.parquet", table)
        return on_disk(staging.publish(scores_manifest(run_id, table_file)))


def on_disk(place: object) -> Path:
    return Path(str(place))


def latest(output: Path) -> Path:
    return on_disk(store.latest_folder(place_at(output)))


def damage(folder: Path) -> list[str]:
    return store.damaged_files(DiskPlace.of(folder), store.read_manifest(DiskPlace.of(folder)))


def fail(_: Any) -> None:
    raise ZeroDivisionError


# tables


def test_a_file_written_twice_at_once_is_never_torn(tmp_path: Path) -> None:
    first, second = (TableWriter(DiskPlace.of(tmp_path), "x.parquet", TABLE.schema) for _ in range(2))
    first.write(TABLE)
    second.write(TABLE)
    record = first.close()
    first_bytes = (tmp_path / "x.parquet").read_bytes()
    assert second.close() == record
    assert (tmp_path / "x.parquet").read_bytes() == first_bytes
    third = TableWriter(DiskPlace.of(tmp_path), "x.parquet", TABLE.schema)
    assert (tmp_path / "x.parquet").read_bytes() == first_bytes
    third.abandon()
    assert [path.name for path in tmp_path.iterdir()] == ["x.parquet"]


def test_a_table_is_written_with_its_record(tmp_path: Path) -> None:
    record = write_table(DiskPlace.of(tmp_path), "deep/er/x.parquet", TABLE)
    content = (tmp_path / "deep" / "er" / "x.parquet").read_bytes()
    assert record.path == "deep/er/x.parquet"
    assert (record.rows, record.bytes) == (2, len(content))
    assert record.sha256 == hashlib.sha256(content).hexdigest()


def test_a_table_keeps_metadata_and_is_compressed(tmp_path: Path) -> None:
    write_table(DiskPlace.of(tmp_path), "x.parquet", TABLE)
    metadata = pq.read_metadata(tmp_path / "x.parquet")
    assert metadata.metadata[b"gdpipe.run_id"] == b"r1"
    assert metadata.schema.to_arrow_schema().field("x").metadata[b"unit"] == b"m"
    assert {metadata.row_group(0).column(c).compression for c in range(2)} == {"ZSTD"}
    assert pq.read_table(tmp_path / "x.parquet").equals(TABLE)


def test_pages_of_a_table_carry_checksums(tmp_path: Path) -> None:
    write_table(DiskPlace.of(tmp_path), "x.parquet", pa.table({"x": [float(i) * 0.1 for i in range(1000)]}))
    content = bytearray((tmp_path / "x.parquet").read_bytes())
    page = pq.read_metadata(tmp_path / "x.parquet").row_group(0).column(0)
    content[page.data_page_offset + page.total_compressed_size - 10] ^= 1
    (tmp_path / "x.parquet").write_bytes(content)
    with pytest.raises(OSError, match=r"CRC|checksum"):
        pq.read_table(tmp_path / "x.parquet", page_checksum_verification=True)


def test_each_batch_is_a_row_group(tmp_path: Path) -> None:
    writer = TableWriter(DiskPlace.of(tmp_path), "x.parquet", TABLE.schema)
    writer.write(TABLE)
    writer.write(TABLE.slice(1))
    assert writer.close().rows == 3
    groups = pq.read_metadata(tmp_path / "x.parquet")
    assert [groups.row_group(g).num_rows for g in range(groups.num_row_groups)] == [2, 1]


def test_a_table_without_rows(tmp_path: Path) -> None:
    assert TableWriter(DiskPlace.of(tmp_path), "x.parquet", TABLE.schema).close().rows == 0
    assert pq.read_table(tmp_path / "x.parquet").num_rows == 0


def test_the_same_table_is_the_same_bytes(tmp_path: Path) -> None:
    first, second = (write_table(DiskPlace.of(tmp_path), f"{name}.parquet", TABLE) for name in "ab")
    assert first.sha256 == second.sha256


def test_a_text_is_written_as_utf8(tmp_path: Path) -> None:
    record = write_text(DiskPlace.of(tmp_path), "x.txt", "größe\n")
    assert (tmp_path / "x.txt").read_bytes() == "größe\n".encode()
    assert (record.rows, record.bytes) == (None, len("größe\n".encode()))


def test_what_cannot_be_written_is_a_publish_error(tmp_path: Path) -> None:
    (tmp_path / "plain-file").write_text("")
    with pytest.raises(PublishError, match="plain-file"):
        write_table(DiskPlace.of(tmp_path / "plain-file"), "x.parquet", TABLE)
    with pytest.raises(PublishError, match="plain-file"):
        write_text(DiskPlace.of(tmp_path / "plain-file"), "x.txt", "")


def test_only_an_interrupted_write_is_worth_repeating() -> None:
    for error, transient in ((InterruptedError(4, "interrupted"), True), (PermissionError(13, "denied"), False)):
        with pytest.raises(PublishError, match="cannot write x") as caught, output_errors("cannot write x"):
            raise error
        assert caught.value.transient is transient


# publishing


def test_a_published_run_is_whole_and_the_latest(tmp_path: Path) -> None:
    folder = publish(tmp_path / "deep" / "runs", "r1")
    assert folder == tmp_path / "deep" / "runs" / "runs" / "r1"
    assert sorted(snapshot(folder)) == ["manifest.json", "predictions/x.parquet"]
    assert damage(folder) == []
    assert json.loads((tmp_path / "deep" / "runs" / "latest.json").read_text()) == {
        "schema_version": 1,
        "run_id": "r1",
        "path": "runs/r1",
    }
    assert latest(tmp_path / "deep" / "runs") == folder
    assert latest(folder) == folder
    assert staged(tmp_path / "deep" / "runs") == []


def test_the_newest_run_is_the_latest_and_older_ones_stay(tmp_path: Path) -> None:
    first = publish(tmp_path, "r1")
    before = snapshot(first)
    second = publish(tmp_path, "r2")
    assert latest(tmp_path) == second
    assert snapshot(first) == before


def test_latest_is_switched_last_and_by_replacing_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(tmp_path, "r1")
    before = (tmp_path / "latest.json").read_bytes()
    seen: list[tuple[str, str]] = []
    real = os.replace

    def replace(source: Path, target: Path) -> None:
        assert (tmp_path / "latest.json").read_bytes() == before
        assert damage(tmp_path / "runs" / "r2") == []
        assert json.loads(Path(source).read_text())["run_id"] == "r2"
        seen.append((str(source), str(target)))
        real(source, target)

    monkeypatch.setattr(os, "replace", replace)
    publish(tmp_path, "r2")
    assert [target for _, target in seen] == [str(tmp_path / "latest.json")]
    assert latest(tmp_path).name == "r2"


def test_a_reader_that_opened_latest_before_keeps_what_it_opened(tmp_path: Path) -> None:
    publish(tmp_path, "r1")
    with (tmp_path / "latest.json").open() as early:
        publish(tmp_path, "r2")
        assert json.loads(early.read())["run_id"] == "r1"


def test_a_rejected_run_is_kept_out_of_the_way(tmp_path: Path) -> None:
    publish(tmp_path, "r1")
    before = snapshot(tmp_path)
    with Staging(tmp_path, "r2") as staging:
        record = write_table(staging.folder, "x.parquet", TABLE)
        write_table(staging.folder, "predictions/part-00000.parquet", TABLE)
        staging.drop("predictions")
        folder = on_disk(staging.reject(scores_manifest("r1", record)))
    assert folder == tmp_path / "rejected" / "r2"
    assert sorted(snapshot(folder)) == ["manifest.json", "x.parquet"]
    after = snapshot(tmp_path)
    assert {name: after[name] for name in before} == before
    assert staged(tmp_path) == []


def test_a_run_that_fails_leaves_nothing(tmp_path: Path) -> None:
    publish(tmp_path, "r1")
    before = snapshot(tmp_path)
    with pytest.raises(ZeroDivisionError), Staging(tmp_path, "r2") as staging:
        fail(write_table(staging.folder, "x.parquet", TABLE))
    assert snapshot(tmp_path) == before
    assert publish(tmp_path, "r2").name == "r2"


@pytest.mark.parametrize("kind", ["runs", "rejected"])
def test_a_name_that_is_taken(kind: str, tmp_path: Path) -> None:
    with Staging(tmp_path, "r1") as staging:
        staging.publish(scores_manifest("r1")) if kind == "runs" else staging.reject(scores_manifest("r1"))
    before = snapshot(tmp_path)
    with pytest.raises(ConfigError, match=r"'r1'.*there already"), Staging(tmp_path, "r1"):
        pass
    assert snapshot(tmp_path) == before
    assert staged(tmp_path) == []


def test_a_name_that_is_being_written(tmp_path: Path) -> None:
    with Staging(tmp_path, "r1") as staging:
        record = write_table(staging.folder, "predictions/x.parquet", TABLE)
        with pytest.raises(ConfigError, match=r"'r1'.*being written"), Staging(tmp_path, "r1"):
            pass
        folder = on_disk(staging.publish(scores_manifest("r1", record)))
    assert damage(folder) == []


def test_runs_beside_each_other_leave_each_other_alone(tmp_path: Path) -> None:
    with Staging(tmp_path, "r1") as first, Staging(tmp_path, "r2") as second:
        records = [write_table(staging.folder, "predictions/x.parquet", TABLE) for staging in (first, second)]
        publish(tmp_path, "r3")
        second.publish(scores_manifest("r1", records[1]))
        first.publish(scores_manifest("r1", records[0]))
    for name in ("r1", "r2", "r3"):
        folder = tmp_path / "runs" / name
        assert damage(folder) == []
    assert latest(tmp_path).name == "r1"
    assert staged(tmp_path) == []


def test_leftovers_of_the_dead_are_cleared_and_those_of_the_living_are_not(tmp_path: Path) -> None:
    staging = tmp_path / ".staging"
    dead, alive = signed("dead"), signed("alive")
    for name in (dead, alive):
        write_table(DiskPlace.of(staging / name), "x.parquet", TABLE)
        (staging / f"{name}.lock").touch()
    (staging / f"{dead}.part").write_text("{")
    with (staging / f"{alive}.lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        publish(tmp_path, "r1")
        assert staged(tmp_path) == [alive, f"{alive}.lock"]
        assert (staging / alive / "x.parquet").is_file()
    publish(tmp_path, "r2")
    assert staged(tmp_path) == []


def test_a_name_whose_first_run_died_can_be_used_again(tmp_path: Path) -> None:
    write_table(DiskPlace.of(tmp_path / ".staging" / signed("r1")), "old.parquet", TABLE)
    (tmp_path / ".staging" / f"{signed('r1')}.lock").touch()
    assert sorted(snapshot(publish(tmp_path, "r1"))) == ["manifest.json", "predictions/x.parquet"]


def test_what_a_failed_switch_left_is_cleared_by_the_next_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(tmp_path, "r1")

    def full(source: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", full)
        with pytest.raises(PublishError, match=r"latest\.json.*No space left"):
            publish(tmp_path, "r2")
    assert latest(tmp_path).name == "r1"
    publish(tmp_path, "r3")
    assert staged(tmp_path) == []


def test_an_output_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "plain-file").write_text("")
    for place in (tmp_path / "plain-file", tmp_path / "plain-file" / "runs"):
        with pytest.raises(PublishError, match="plain-file"), Staging(place, "r1"):
            pass


def test_publishing_can_be_repeated_after_it_failed_half_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.replace

    def interrupted(source: Path, target: Path) -> None:
        monkeypatch.setattr(os, "replace", real)
        raise InterruptedError(4, "Interrupted system call")

    with Staging(tmp_path, "r1") as staging:
        record = write_table(staging.folder, "x.parquet", TABLE)
        monkeypatch.setattr(os, "replace", interrupted)
        with pytest.raises(PublishError, match="Interrupted") as caught:
            staging.publish(scores_manifest("r1", record))
        assert caught.value.transient
        before = snapshot(tmp_path / "runs")
        folder = on_disk(staging.publish({**scores_manifest("r1", record), "created": "later"}))
    assert snapshot(tmp_path / "runs") == before
    assert latest(tmp_path) == folder
    assert staged(tmp_path) == []


# pruning


def kept(output: Path, kind: str = "runs") -> list[str]:
    return sorted(folder.name for folder in (output / kind).iterdir())


def test_pruning_removes_the_oldest_and_never_the_latest(tmp_path: Path) -> None:
    for age, run_id in enumerate(["d", "b", "c", "a"]):
        with Staging(tmp_path, run_id) as staging:
            staging.publish({**scores_manifest(run_id), "created": f"2026-01-0{age + 1}"})
    place = place_at(tmp_path)
    assert prune(place, 4) == []
    assert prune(place, 2) == ["d", "b"]
    pointer = json.loads((tmp_path / "latest.json").read_text())
    (tmp_path / "latest.json").write_text(json.dumps({**pointer, "run_id": "c"}))  # by hand, to an older run
    assert prune(place, 1) == ["a"]
    assert kept(tmp_path) == ["c"]
    assert staged(tmp_path) == []


def test_pruning_leaves_alone_what_is_being_published_and_what_it_cannot_read(tmp_path: Path) -> None:
    for run_id in ("r1", "r2", "r3"):
        publish(tmp_path, run_id)
    (tmp_path / "runs" / "r1" / "manifest.json").write_text("{")
    place = place_at(tmp_path)
    lease = place.lease("r2")  # as it is between the rename and the switch
    assert lease is not None
    assert prune(place, 1) == []
    lease.release()
    assert prune(place, 1) == ["r2"]
    assert kept(tmp_path) == ["r1", "r3"]


def test_pruning_rejected_runs_is_asked_for(tmp_path: Path) -> None:
    publish(tmp_path, "r1")
    for age, run_id in enumerate(["bad1", "bad2"]):
        with Staging(tmp_path, run_id) as staging:
            staging.reject({**scores_manifest(run_id), "created": f"2026-01-0{age + 1}"})
    assert "0 removed" in gdpipe_cli("prune", tmp_path, "--keep", 1).out
    assert kept(tmp_path, "rejected") == ["bad1", "bad2"]
    assert gdpipe_cli("prune", tmp_path, "--keep", 1, "--rejected").out.split()[-1] == "bad1"
    assert kept(tmp_path, "rejected") == ["bad2"]
    assert latest(tmp_path).name == "r1"
    assert gdpipe_cli("prune", tmp_path, "--keep", 0).code == 2
    assert gdpipe_cli("prune", tmp_path / "nowhere", "--keep", 1).code == 0
    assert not (tmp_path / "nowhere").exists()


def test_a_run_that_is_pruned_while_it_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(tmp_path, "r1")
    real = store.latest_folder
    calls = itertools.count()

    def meanwhile(place: Any) -> Any:
        folder = real(place)
        if not next(calls):
            publish(tmp_path, "r2")
            prune(place_at(tmp_path), 1)
        return folder

    monkeypatch.setattr("gdpipe.run.latest_folder", meanwhile)
    run = open_run(tmp_path)
    assert run.place.exists("predictions/x.parquet")
    assert run.folder.name == "r2"


# reading back


def test_damage_is_named_file_by_file(tmp_path: Path) -> None:
    with Staging(tmp_path, "r1") as staging:
        records = [write_table(staging.folder, f"predictions/{name}.parquet", TABLE) for name in "abcd"]
        folder = on_disk(staging.publish(scores_manifest("r1", *records)))
    assert damage(folder) == []
    content = bytearray((folder / "predictions/a.parquet").read_bytes())
    content[50] ^= 1
    (folder / "predictions/a.parquet").write_bytes(content)
    (folder / "predictions/b.parquet").write_bytes(content[:-1])
    (folder / "predictions/c.parquet").unlink()
    complaints = damage(folder)
    assert [line.split(":")[0] for line in complaints] == [f"predictions/{name}.parquet" for name in "abc"]


def test_no_run_at_all(tmp_path: Path) -> None:
    with pytest.raises(PublishError, match="no published run"):
        latest(tmp_path)
    with pytest.raises(PublishError, match="no published run"):
        latest(tmp_path / "nowhere")


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"run_id": "../../elsewhere"}', '{"run_id": "a/b"}'])
def test_a_damaged_pointer(content: str, tmp_path: Path) -> None:
    publish(tmp_path, "r1")
    (tmp_path / "latest.json").write_text(content)
    with pytest.raises(PublishError, match=r"latest\.json"):
        latest(tmp_path)


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"schema_version": 2}'])
def test_a_damaged_manifest(content: str, tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(PublishError, match=r"manifest\.json"):
        store.read_manifest(DiskPlace.of(tmp_path))
