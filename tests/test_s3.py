"""Bucket to bucket, against a real S3 server on loopback."""

import datetime
import json
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import gdpipe
from gdpipe import pipeline
from gdpipe.engine import open_executor
from gdpipe.errors import DataError, PublishError
from gdpipe.layout import signed
from gdpipe.pipeline import Steps
from gdpipe.source.files import reading
from gdpipe.stages.ingest import ingest
from gdpipe.store import bucket as buckets
from gdpipe.store.runs import Staging, place_at
from gdpipe.store.writer import write_text
from tests.conftest import gdpipe_cli, line_columns, write_parquet
from tests.runs import scores_manifest, train
from tests.s3 import Line, Server

KEY, SECRET = "AKIAPLANTEDKEY", "planted-Secret"


@pytest.fixture
def data(s3: Server, bucket: str, tmp_path: Path) -> str:
    """Two files in the bucket, in folders with partition values, a space and a letter beyond ASCII; copied on disk."""
    for month in (1, 2):
        name = f"größe und mehr/month={month}/line.parquet"
        local = write_parquet(tmp_path / name, line_columns(seed=month))
        with s3.filesystem.open_output_stream(f"{bucket}/{name}") as stream:
            stream.write(local.read_bytes())
    return f"{bucket}/größe und mehr"


@pytest.fixture
def line(s3: Server) -> Iterator[Line]:
    line = Line(s3.port)
    yield line
    line.close()


def staged(s3: Server, output: str) -> list[str]:
    return sorted(s3.snapshot(f"{output}/.staging"))


def publish(output: str, run_id: str, text: str = "content") -> None:
    with Staging(output, run_id) as staging:
        record = write_text(staging.folder, "predictions/x.txt", text)
        staging.publish(scores_manifest(run_id, record))


def test_a_run_from_bucket_to_bucket_is_the_local_run_to_the_bit(
    s3: Server, bucket: str, data: str, tmp_path: Path
) -> None:
    output = f"{bucket}/alle läufe"
    here = train(str(tmp_path / "größe und mehr"), str(tmp_path / "runs"), run_id="r1")
    there = train(s3.uri(data), s3.uri(output), run_id="r1")
    assert there.location == s3.uri(f"{output}/runs/r1")
    assert there.manifest["files"] == here.manifest["files"]  # every sha256
    assert there.manifest["rows"] == here.manifest["rows"]
    assert s3.snapshot(output)["runs/r1/parameters.parquet"] == (here.folder / "parameters.parquet").read_bytes()
    assert [name for name in sorted(s3.snapshot(output)) if not name.startswith("moments/")] == [
        "latest.json",
        *(
            f"runs/r1/{name}"
            for name in (
                "convergence.parquet",
                "folds.parquet",
                "loss_history.parquet",
                "manifest.json",
                "metrics.parquet",
                "parameters.parquet",
                "predictions/part-00000.parquet",
                "predictions/part-00001.parquet",
            )
        ),
    ]


def test_the_next_night_in_a_bucket_reads_what_is_new(s3: Server, bucket: str, data: str) -> None:
    output = s3.uri(f"{bucket}/runs")
    train(s3.uri(data), output, run_id="r1")
    assert train(s3.uri(data), output).run_id == "r1"  # nothing to do
    with s3.filesystem.open_output_stream(f"{data}/month=3/line.parquet") as stream:
        pq.write_table(pa.table(line_columns(seed=3)), stream)
    gated = {"max_rmse_increase": 0.5, "predict": "new"}
    second = train(s3.uri(data), output, run_id="r2", **gated)
    assert [entry["sums"] for entry in second.manifest["inputs"]] == ["kept", "kept", "read"]
    assert len(second.predictions) == 200
    assert second.drift["term"].tolist() == ["intercept", "x1", "x2", "month", "y"]
    whole = train(s3.uri(data), s3.uri(f"{bucket}/elsewhere"), run_id="r2")
    assert second.parameters["estimate"].tolist() == whole.parameters["estimate"].tolist()


def test_show_verify_and_predict_with_a_run_in_a_bucket(s3: Server, bucket: str, data: str, tmp_path: Path) -> None:
    runs, scores = s3.uri(f"{bucket}/runs"), s3.uri(f"{bucket}/scores")
    run = train(s3.uri(data), runs, run_id="r1")
    shown = gdpipe_cli("show", runs)
    assert (shown.code, run.location in shown.out) == (0, True)
    assert "every checksum holds" in gdpipe_cli("verify", run.location).out
    done = gdpipe_cli("predict", s3.uri(data), "--run", runs, "--output", scores)
    assert done.code == 0, done.err
    assert gdpipe.open_run(scores).table("predictions")["prediction"].equals(run.table("predictions")["prediction"])
    frame = pq.read_table(tmp_path / "größe und mehr" / "month=1" / "line.parquet").append_column(
        "month", pa.array([1] * 200)
    )
    np.testing.assert_array_equal(gdpipe.open_run(runs).predict(frame), run.predictions["prediction"][:200])
    with pytest.raises(PublishError, match="not a folder on a disk"):
        _ = run.folder
    with s3.filesystem.open_output_stream(f"{bucket}/runs/runs/r1/metrics.parquet") as stream:
        stream.write(b"damaged")
    damaged = gdpipe_cli("verify", runs)
    assert (damaged.code, "metrics.parquet" in damaged.err) == (4, True)
    with pytest.raises(PublishError, match=r"metrics\.parquet"):
        gdpipe.open_run(runs)


def test_the_manifest_comes_last_and_the_pointer_after_it(s3: Server, bucket: str, data: str) -> None:
    train(s3.uri(data), s3.uri(f"{bucket}/runs"), run_id="r1")
    before = len(s3.requests())
    train(s3.uri(data), s3.uri(f"{bucket}/runs"), run_id="r2")
    # an upload in parts ends with a POST with its id: only then the object is there
    written = [
        request.split("?")[0].split(f"{bucket}/runs/")[1]
        for request in s3.requests()[before:]
        if (request.startswith("PUT") and "?" not in request)
        or (request.startswith("POST") and "?uploadId=" in request)
    ]
    written = [path for path in written if not path.endswith("/")]  # folder markers
    staging = [path.startswith(".staging") for path in written]
    assert staging == sorted(staging, reverse=True)
    assert written[-2:] == ["runs/r2/manifest.json", "latest.json"]
    assert len([path for path in written if path.startswith("runs/r2/")]) == 9


def test_a_lost_connection_is_tried_again(s3: Server, bucket: str, data: str, line: Line) -> None:
    source, output = s3.uri(data, line.port), s3.uri(f"{bucket}/runs", line.port)
    for run_id, cut in (("read", b"GET /"), ("part", b"part-00001.parquet"), ("pointer", b"latest.json")):
        line.cut, line.cuts = cut, 1
        train(source, output, run_id=run_id)
        assert line.cuts == 0
        assert gdpipe.open_run(output).run_id == run_id


def test_an_outage_is_worth_retrying_and_publishing_can_be_repeated(
    s3: Server, bucket: str, data: str, line: Line
) -> None:
    output = s3.uri(f"{bucket}/runs", line.port)
    publish(output, "old")
    failed: list[PublishError] = []

    def publish_twice(*args: Any) -> Any:
        line.cut, line.cuts = b"/latest.json", 1000
        with pytest.raises(PublishError, match=r"latest\.json.*NETWORK_CONNECTION") as caught:
            Steps().publish(*args)
        failed.append(caught.value)
        line.cut = None
        assert gdpipe.open_run(output).run_id == "old"
        before = len(s3.requests())
        folder = Steps().publish(*args)
        repeated = [request for request in s3.requests()[before:] if not request.startswith(("GET", "HEAD"))]
        assert repeated
        assert not [request for request in repeated if "/runs/runs/new/" in request]  # it was there already
        return folder

    config = gdpipe.TrainingConfig(source=s3.uri(data), target="y", output=output, run_id="new", report=False)
    assert pipeline.train(config, Steps(publish=publish_twice)).run_id == "new"
    assert [error.transient for error in failed] == [True]
    assert gdpipe.open_run(output).run_id == "new"
    assert staged(s3, f"{bucket}/runs") == []


def test_what_passes_and_what_does_not() -> None:
    for text, transient in (
        ("AWS Error NETWORK_CONNECTION during GetObject", True),
        ("AWS Error ACCESS_DENIED", False),
    ):
        with pytest.raises(DataError, match="AWS Error") as caught, reading("s3://bucket/x"):
            raise OSError(text)
        assert caught.value.transient is transient


def test_a_rejected_run_leaves_its_evidence_and_the_pointer_alone(s3: Server, bucket: str, data: str) -> None:
    output = f"{bucket}/runs"
    train(s3.uri(data), s3.uri(output), run_id="good")
    before = s3.snapshot(output)
    done = gdpipe_cli(
        "train", s3.uri(data), "--target", "y", "--output", s3.uri(output), "--run-id", "bad", "--max-iterations", 1
    )
    assert done.code == 1
    evidence = s3.uri(f"{output}/rejected/bad")
    assert evidence in done.err
    assert gdpipe_cli("show", evidence).code == 0
    after = s3.snapshot(output)
    assert {name: after[name] for name in before} == before
    assert not [name for name in after if name.startswith((".staging", "rejected/bad/predictions"))]


def test_two_runs_at_once(s3: Server, bucket: str, data: str) -> None:
    output = s3.uri(f"{bucket}/runs")
    threads = [
        threading.Thread(target=train, args=(s3.uri(data), output), kwargs={"run_id": run_id}) for run_id in "ab"
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert gdpipe.open_run(output).run_id in "ab"
    assert [gdpipe.open_run(s3.uri(f"{bucket}/runs/runs/{run_id}")).run_id for run_id in "ab"] == ["a", "b"]
    assert staged(s3, f"{bucket}/runs") == []


def test_a_name_that_is_taken_or_being_written(s3: Server, bucket: str) -> None:
    output = s3.uri(f"{bucket}/runs")
    publish(output, "r1")
    with pytest.raises(gdpipe.ConfigError, match="there already"), Staging(output, "r1"):
        pass
    with Staging(output, "r2") as staging:
        record = write_text(staging.folder, "predictions/x.txt", "")
        with pytest.raises(gdpipe.ConfigError, match="being written"), Staging(output, "r2"):
            pass
        # taken in the very instant by another run, which must not be torn by this one
        place_at(output).write(f".staging/{signed('r2')}/claim", b"another's")
        with pytest.raises(PublishError, match="another run took the name"):
            staging.publish(scores_manifest("r2", record))
    assert gdpipe.open_run(output).run_id == "r1"
    assert staged(s3, f"{bucket}/runs") == [f"{signed('r2')}/claim"]


def test_what_a_dead_run_left_is_told_by_its_age(s3: Server, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    output = s3.uri(f"{bucket}/runs")
    publish(output, "r1")
    place, dead = place_at(output), signed("dead")
    for path in (f".staging/{dead}/1a2b/x.parquet", "runs/dead/x.parquet"):  # killed while its objects were copied
        place.write(path, b"x")
    place.write(f".staging/{dead}/claim", b"1a2b")
    publish(output, "r2")
    assert staged(s3, f"{bucket}/runs") == [f"{dead}/1a2b/x.parquet", f"{dead}/claim"]
    monkeypatch.setattr(buckets, "DEAD_AFTER", datetime.timedelta(seconds=-10))
    publish(output, "r3")
    assert staged(s3, f"{bucket}/runs") == []
    assert place.folders("runs") == ["r1", "r2", "r3"]


def test_prune_in_a_bucket(s3: Server, bucket: str) -> None:
    output = s3.uri(f"{bucket}/runs")
    for run_id in ("c", "b", "a"):
        publish(output, run_id)
    with Staging(output, "alive") as staging:
        record = write_text(staging.folder, "predictions/x.txt", "")
        done = gdpipe_cli("prune", output, "--keep", 2)
        assert (done.code, "\n1 removed from " in done.out, done.out.split()[-1]) == (0, True, "c")
        staging.publish(scores_manifest("alive", record))
    assert place_at(output).folders("runs") == ["a", "alive", "b"]
    assert gdpipe.open_run(output).run_id == "alive"


def test_patterns_in_a_bucket(s3: Server, bucket: str, data: str, tmp_path: Path) -> None:
    for pattern, files in (
        ("größe*/month=1", 1),
        ("größe und mehr/month=[12]/*.parquet", 2),
        ("**/line.parquet", 2),
        ("größe und mehr/*/*.pq", 0),
    ):
        if files:
            source, output = s3.uri(f"{bucket}/{pattern}"), str(tmp_path / "runs")
            config = gdpipe.TrainingConfig(source=source, output=output, target="y", features=("x1",))
            with open_executor() as executor:
                assert len(ingest(config, executor).source.files) == files
        else:
            assert gdpipe_cli("plan", s3.uri(f"{bucket}/{pattern}"), "--target", "y").code == 3


def test_no_credential_is_printed_or_kept(s3: Server, bucket: str, data: str, tmp_path: Path) -> None:
    user = f"{KEY}:{SECRET}@"
    source, runs, scores = (s3.uri(place, user=user) for place in (data, f"{bucket}/runs", f"{bucket}/scores"))
    train_it = ("train", source, "--target", "y", "--output", runs)
    commands: list[tuple[int, tuple[object, ...]]] = [
        (0, train_it),
        (0, ("plan", source, "--target", "y")),
        (0, ("plan", source, "--target", "y", "--json")),
        (0, ("show", runs)),
        (0, ("verify", runs)),
        (0, ("predict", source, "--run", runs, "--output", scores)),
        (0, ("show", scores)),
        (0, ("prune", runs, "--keep", 1)),
        (1, (*train_it, "--max-iterations", 1)),
        (2, (*train_it, "--run-id", "../x")),
        (2, ("train", source, "--target", "y", "--output", runs + "&bogus=1")),
        (2, ("train", source, "--target", "y", "--output", f"s3://{KEY}:{SECRET}/x@{bucket}/runs")),
        (2, ("train", source, "--target", "y", "--output", f"nowhere://{user}{bucket}/runs")),
        (2, ("predict", source, "--run", scores, "--output", scores)),
        (3, ("train", f"s3://{KEY}:{SECRET}/x@{bucket}/runs", "--target", "y", "--output", runs)),
        (3, ("train", source.replace("mehr", "weniger"), "--target", "y", "--output", runs)),
        (3, ("train", source, "--target", "nothing", "--output", runs)),
        (3, ("plan", source, "--target", "y", "--filters", '[["month", ">", 9]]')),
        (3, ("train", source, "--target", "month", "--filters", '[["month", "=", 1]]', "--output", runs, "--force")),
        (4, ("train", source, "--target", "y", "--output", s3.uri("no-such-bucket/runs", user=user))),
        (4, ("show", s3.uri(f"{bucket}/nothing", user=user))),
        (4, ("verify", s3.uri("no-such-bucket/runs", user=user))),
    ]
    for code, command in commands:
        done = gdpipe_cli("--debug", *command)
        assert done.code == code, (command, done)
        for text in (done.out, done.err):
            assert not re.search(f"{KEY}|{SECRET}", text), command
    run = gdpipe.open_run(runs)
    assert repr(run) == f"Run({s3.uri(f'{bucket}/runs/runs/{run.run_id}')!r})"
    kept = s3.snapshot(bucket)
    assert any(name.startswith("runs/rejected/") for name in kept)
    for name, content in kept.items():
        assert not re.search(f"{KEY}|{SECRET}".encode(), content), name
    assert json.loads(kept[f"runs/runs/{run.run_id}/manifest.json"])["settings"]["output"] == s3.uri(f"{bucket}/runs")
