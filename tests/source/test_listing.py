"""Which files count: by name or by content, each once, and what is passed over."""

import os
import socket
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import gdpipe
from gdpipe.errors import DataError
from gdpipe.source.listing import find_files
from gdpipe.source.source import Source
from tests.conftest import gdpipe_cli, line_columns, write_parquet
from tests.s3 import Server


def one(path: Path) -> Path:
    return write_parquet(path, {"x": [1, 2, 3]})


def names(location: object) -> list[str]:
    return [file.name for file in Source.open(str(location)).files]


def passed_over(location: object) -> list[str]:
    return list(Source.open(str(location)).passed_over)


# by name or by content

OTHER_NAMES = (
    "B.PARQUET",
    "b.Pq",
    "000000_0",
    "b.parquet.snappy",
    "b.parquet.gz",
    "20260101_12345_abcde",
    "x.parquet_1",
)


def test_parquet_is_read_whatever_its_name(tmp_path: Path) -> None:
    for name in ("a.parquet", *OTHER_NAMES):
        one(tmp_path / name)
    assert names(tmp_path) == sorted(["a.parquet", *OTHER_NAMES])
    assert passed_over(tmp_path) == []


NO_PARQUET = {
    "empty": b"",
    "only_magic": b"PAR1PAR1",
    "notes.txt": b"PAR1 is what a Parquet file starts with",
    "table.csv": b"x,y\n1,2\n3,4\n",
    "z/noise.bin": bytes(range(256)),
}


def test_what_is_not_parquet_is_named(tmp_path: Path) -> None:
    content = one(tmp_path / "a.parquet").read_bytes()
    for name, other in {**NO_PARQUET, "cut": content[:-5], "tail": content[5:]}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(other)
    assert names(tmp_path) == ["a.parquet"]
    assert passed_over(tmp_path) == ["cut", "empty", "notes.txt", "only_magic", "table.csv", "tail", "z/noise.bin"]


@pytest.mark.parametrize("name", ["b.parquet", "b.PARQUET", "z/b.pq"])
def test_what_is_called_parquet_and_is_not_is_an_error(name: str, tmp_path: Path) -> None:
    content = one(tmp_path / "a.parquet").read_bytes()
    (tmp_path / "z").mkdir()
    (tmp_path / name).write_bytes(content[:-5])
    with pytest.raises(DataError, match=rf"{name}: not Parquet, or not whole"):
        names(tmp_path)


def test_a_partition_may_start_with_an_underscore_and_what_is_hidden_is_not_named(tmp_path: Path) -> None:
    for name in ("_day=1/a.parquet", "_day=2/.hidden/b.parquet", "_day=2/c.parquet", "_temporary/0/d.parquet"):
        one(tmp_path / name)
    for name in ("_metadata", "_common_metadata", "_day=1.parquet", ".x=1/a.parquet", "_true_parameters.parquet"):
        one(tmp_path / name)
    for name in ("_SUCCESS", ".a.parquet.crc", "a.parquet.crc", "_day=1_$folder$"):
        (tmp_path / name).write_text("")
    assert names(tmp_path) == ["_day=1/a.parquet", "_day=2/c.parquet"]
    assert Source.open(str(tmp_path)).files[1].partition == {"_day": 2}
    assert passed_over(tmp_path) == []


def test_a_pipe_is_not_opened(tmp_path: Path) -> None:
    one(tmp_path / "a.parquet")
    os.mkfifo(tmp_path / "pipe.parquet")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
    assert names(tmp_path) == ["a.parquet"]
    assert passed_over(tmp_path) == ["pipe.parquet", "socket"]


def test_a_folder_without_parquet_says_what_it_has(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing here")
    with pytest.raises(DataError, match=r"no Parquet file found \(.*\*\.parquet.*passed over.*notes\.txt"):
        names(tmp_path)


def test_a_glob_takes_what_it_names_and_the_data_in_folders_that_it_names(tmp_path: Path) -> None:
    for name in ("000000_0", "day=1/000000_0", "day=1/x.parquet", "day=2/000000_0"):
        one(tmp_path / name)
    (tmp_path / "day=1" / "notes.txt").write_text("text")
    assert names(tmp_path / "0*") == ["000000_0"]
    assert names(tmp_path / "day=*") == ["day=1/000000_0", "day=1/x.parquet", "day=2/000000_0"]
    assert passed_over(tmp_path / "day=*") == ["day=1/notes.txt"]
    assert names(tmp_path / "d*" / "**" / "000000_0") == ["day=1/000000_0", "day=2/000000_0"]
    with pytest.raises(DataError, match=r"notes\.txt: not Parquet"):
        names(tmp_path / "day=1" / "*")


def test_it_is_said_in_the_manifest_the_summary_the_plan_and_the_scores(data: Path, tmp_path: Path) -> None:
    for k in range(7):
        (data / f"{k}.txt").write_text("text")
    notice = "passed over, not Parquet or not whole: 0.txt, 1.txt, 2.txt, 3.txt, 4.txt and 2 more"
    output, scores = tmp_path / "runs", tmp_path / "scores"
    done = gdpipe_cli("train", data, "--target", "y", "--output", output, "--no-report")
    assert f"notice      {notice}" in done.out
    run = gdpipe.open_run(output)
    assert run.manifest["passed_over"] == [f"{k}.txt" for k in range(7)]
    assert notice in run.manifest["notices"]
    assert f"notice      {notice}" in gdpipe_cli("plan", data, "--target", "y").out
    assert notice in gdpipe_cli("predict", data, "--run", output, "--output", scores).out
    assert gdpipe.open_run(scores).manifest["passed_over"] == run.manifest["passed_over"]
    # no published number depends on it
    (data / "8.txt").write_text("text")
    assert "nothing to do" in gdpipe_cli("train", data, "--target", "y", "--output", output, "--no-report").out
    write_parquet(data / "000000_0", line_columns(seed=1))
    assert gdpipe_cli("train", data, "--target", "y", "--output", output, "--no-report").code == 0
    assert gdpipe.open_run(output).manifest["rows"]["read"] == 400


# once


def test_links_to_a_file_count_once(tmp_path: Path) -> None:
    one(tmp_path / "m" / "a.parquet")
    (tmp_path / "m" / "0.parquet").symlink_to("a.parquet")
    (tmp_path / "latest").symlink_to(tmp_path / "m" / "0.parquet")
    assert names(tmp_path) == ["m/a.parquet"]
    assert names(tmp_path / "m" / "0*") == ["0.parquet"]
    assert names(tmp_path / "latest") == ["latest"]
    os.link(tmp_path / "m" / "a.parquet", tmp_path / "m" / "hard.parquet")
    assert names(tmp_path) == ["m/a.parquet", "m/hard.parquet"]


def test_links_to_folders_count_once_and_may_lead_in_circles(tmp_path: Path) -> None:
    source = tmp_path / "source"
    for month in (1, 2):
        one(source / f"2024-0{month}" / "a.parquet")
    (source / "current").symlink_to("2024-02")
    (source / "loop").symlink_to(".")
    (source / "2024-01" / "up").symlink_to("..")
    (source / "2024-01" / "next").symlink_to("../2024-02")
    (source / "2024-02" / "previous").symlink_to("../2024-01")
    assert names(source) == ["2024-01/a.parquet", "2024-02/a.parquet"]
    assert passed_over(source) == []
    for pattern in ("*", "**", "**/*.parquet", "*/*.parquet"):
        assert names(source / pattern) == ["2024-01/a.parquet", "2024-02/a.parquet"], pattern
    assert names(source / "c*" / "*.parquet") == ["current/a.parquet"]
    assert names(source / "**" / "current" / "*.parquet") == ["current/a.parquet"]
    assert names(source / "current") == ["a.parquet", "previous/a.parquet"]


def test_what_lies_elsewhere_is_read_by_the_first_of_its_links(tmp_path: Path) -> None:
    source, elsewhere = tmp_path / "source", tmp_path / "elsewhere"
    one(elsewhere / "x" / "object")
    one(source / "_hidden" / "h.bin")
    for name in ("b.parquet", "a.parquet"):
        (source / name).symlink_to(elsewhere / "x" / "object")
    (source / "n=2").symlink_to(elsewhere)
    (source / "n=1").symlink_to(elsewhere / "x")
    (source / "h").symlink_to("_hidden/h.bin")
    (source / "above").symlink_to(tmp_path)
    # the folders' links are followed after the files' were found, and lead to the same file
    assert names(source / "[abh]*") == ["a.parquet", "h"]
    assert names(source / "n*") == ["n=1/object"]
    assert passed_over(source / "n=*") == []
    assert passed_over(source / "[ah]*") == ["above/"]


def test_ten_folders_that_all_lead_to_each_other(tmp_path: Path) -> None:
    """Every way through them would be millions of folders."""
    for k in range(10):
        one(tmp_path / str(k) / "a.parquet")
        for other in range(10):
            (tmp_path / str(k) / f"to{other}").symlink_to(f"../{other}")
    assert names(tmp_path) == [f"{k}/a.parquet" for k in range(10)]
    assert len(names(tmp_path / "**" / "*.parquet")) == 10


@pytest.mark.parametrize("name", ["b.parquet", "b", "deep/b", "n=1"])
@pytest.mark.parametrize("leads", ["gone.parquet", "self"])
def test_a_link_to_nothing_is_an_error(name: str, leads: str, tmp_path: Path) -> None:
    one(tmp_path / "a.parquet")
    link = tmp_path / name
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(link if leads == "self" else leads)
    for location in (tmp_path, link, tmp_path / "**"):
        with pytest.raises(DataError, match=rf"{name}: a link to .*, which cannot be followed") as caught:
            names(location)
        assert "\n" not in str(caught.value)


def test_a_hidden_link_to_nothing_is_nobodys_data(tmp_path: Path) -> None:
    one(tmp_path / "a.parquet")
    for name in (".#a.parquet", "_current", "a.crc"):
        (tmp_path / name).symlink_to("gone")
    assert names(tmp_path) == ["a.parquet"]


# gdpipe's own


@pytest.mark.parametrize("below", ["", "runs", "deep/out"])
def test_runs_in_the_source_are_no_data(below: str, data: Path) -> None:
    output = data / below if below else data
    for k, options in enumerate([["--max-iterations", "1", "--method", "gd"], [], ["--force"]]):
        if k == 2:
            write_parquet(data / "more.parquet", line_columns(seed=2))
        done = gdpipe_cli("train", data, "--target", "y", "--output", output, "--no-report", *options)
        assert done.code == (0 if options != ["--max-iterations", "1", "--method", "gd"] else 1), done.err
    run = gdpipe.open_run(output)
    assert [entry["file"] for entry in run.manifest["inputs"]] == ["line.parquet", "more.parquet"]
    # a run that was published hides its neighbours' folders whole
    inside = f"{below}/" if below else ""
    folders = [f"{inside}{name}/" for name in ("moments", "rejected", "runs")]
    assert [name for name in run.manifest["passed_over"] if name.endswith("/")] == folders
    assert any(line.startswith("passed over, runs of gdpipe") for line in run.manifest["notices"])
    assert names(data / "**" / "*.parquet") == ["line.parquet", "more.parquet"]
    # who names them may have them
    assert names(output / "runs" / "*" / "predictions" / "*.parquet")
    assert names(run.folder / "predictions") == ["part-00000.parquet", "part-00001.parquet"]


def test_a_folder_called_runs_is_data(tmp_path: Path) -> None:
    for name in ("runs/a.parquet", "moments/b.parquet", "rejected/c.parquet"):
        one(tmp_path / name)
    (tmp_path / "latest.json").write_text('{"path": "somewhere", "run_id": 1}')
    assert names(tmp_path) == ["moments/b.parquet", "rejected/c.parquet", "runs/a.parquet"]


# object stores


def test_which_files_count_in_a_bucket(s3: Server, bucket: str, tmp_path: Path) -> None:
    content = one(tmp_path / "a.parquet").read_bytes()
    for name, other in {
        "_day=1/a.parquet": content,
        "_day=1/000000_0": content,
        "_day=1/_SUCCESS": b"",
        "_day=2/B.PARQUET": content,
        "_day=2/cut": content[:-5],
        "_day=2/.tmp/x.parquet": content,
        "_temporary/x.parquet": content,
        "notes/readme.txt": b"text",
    }.items():
        with s3.filesystem.open_output_stream(f"{bucket}/data/{name}") as stream:
            stream.write(other)
    expected = ["_day=1/000000_0", "_day=1/a.parquet", "_day=2/B.PARQUET"]
    for location in ("data", "data/", "data/_day=*", "data/**/[0aB]*"):
        source = Source.open(s3.uri(f"{bucket}/{location}"))
        assert [file.name for file in source.files] == expected, location
    assert passed_over(s3.uri(f"{bucket}/data")) == ["_day=2/cut", "notes/readme.txt"]
    before = len(s3.requests())
    assert len(find_files(s3.uri(f"{bucket}/data")).files) == 3
    gets = [r for r in s3.requests()[before:] if r.startswith("GET") and "list-type" not in r]
    # a file that its name says is Parquet is not opened; of another its start, and its end if it starts well
    assert not any(".parquet" in r.lower() for r in gets)
    assert len(gets) <= 5


def test_own_runs_in_a_bucket_are_no_data(s3: Server, bucket: str, tmp_path: Path) -> None:
    with s3.filesystem.open_output_stream(f"{bucket}/data/a.parquet") as stream:
        pq.write_table(pa.table(line_columns()), stream)
    for run_id in ("r1", "r2"):
        settings = {"target": "y", "output": s3.uri(f"{bucket}/data/out"), "report": False, "force": True}
        run = gdpipe.train(source=s3.uri(f"{bucket}/data"), run_id=run_id, **settings)
        assert run.manifest["rows"]["read"] == 200
    assert run.manifest["passed_over"] == ["out/moments/", "out/runs/"]
