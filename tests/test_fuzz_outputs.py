"""Every file of an output that gdpipe reads back, damaged: one line and exit code 4, and the next train is not spoilt.

A small sample in `make test`; `make fuzz` sets GDPIPE_FUZZ=2000.
"""

import copy
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gdpipe.errors import GdpipeError, PublishError
from gdpipe.run import Run
from tests.conftest import Outcome, gdpipe_cli, line_columns, write_parquet
from tests.runs import gdpipe_train
from tests.test_fuzz import FUZZ, answered, damages, folder

SOME = settings(FUZZ, max_examples=int(os.environ.get("GDPIPE_FUZZ", "20")))

TABLES = ("parameters", "loss_history", "convergence", "metrics", "drift")
DEEP = json.loads("[" * 200 + "]" * 200)
JUNK = [
    *(None, True, 0, -1, 10**400, 1e308, 5e-324, float("nan"), float("inf"), "", "x", "a\nb", "../..", "\ud800", "\0"),
    *([], [None], {}, {"x": None}, [[["x1", "==", {}]]], DEEP, "runs", "y" * 100_000),
]
TEXTS = [b"", b"\xff", b"[" * 100_000, b'{"run_id":' * 100_000, b"null", b"[]", b"NaN", b'{"run_id": 1e999}']


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data, two runs of which the second is the latest, a rejected one, and scores."""
    base = tmp_path_factory.mktemp("good")
    for name in "ab":
        write_parquet(base / "data" / f"{name}.parquet", line_columns(40, seed=ord(name)))
    trained = [train(base, "--run-id", "first"), train(base, "--run-id", "second", "--force", "--min-r2", "0.5")]
    trained.append(train(base, "--run-id", "slow", "--max-iterations", "1"))
    scored = gdpipe_cli("predict", base / "data", "--run", base / "runs", "--output", base / "scores", "--run-id", "s")
    assert [done.code for done in (*trained, scored)] == [0, 0, 1, 0]
    return base


def train(base: Path, *options: str) -> Outcome:
    return gdpipe_train(base / "data", base / "runs", "--no-report", *options)


READERS: dict[str, Callable[[Path, Path], Outcome]] = {
    "show": lambda base, run: gdpipe_cli("show", run),
    "show --json": lambda base, run: gdpipe_cli("show", run, "--json"),
    "verify": lambda base, run: gdpipe_cli("verify", run),
    "sql": lambda base, run: gdpipe_cli("sql", run),
    "predict": lambda base, run: gdpipe_cli("predict", base / "data", "--run", run, "--output", base / "new"),
    "prune": lambda base, run: gdpipe_cli("prune", base / "runs", "--keep", 1, "--rejected"),
}


def read(reader: str, base: Path, run: Path, changed: bool) -> None:
    """A reader's answer: exit code 0 or 4; never 0 where it compares with checksums and something was changed."""
    done = READERS[reader](base, run)
    assert "unforeseen" not in done.err
    # scores hold no model; prune has nothing to say of a file
    answered(done.code, done.err, 0, 4, *([2] if run.name == "s" else []))
    if changed and reader in {"verify", "sql", "predict"}:
        assert done.code, done.out


def read_in_python(run: Path) -> None:
    """Whatever is asked of it is answered, or is an error of ours in one line; a model that is used is a model."""
    opened = answer_in_python(lambda: Run.at(run))
    if opened is None:
        return
    asked: list[Callable[[], Any]] = [opened.verify, lambda: opened.parameters, lambda: opened.metrics]
    asked += [lambda: opened.predictions, lambda: opened.loss_history, lambda: opened.convergence, lambda: opened.drift]
    for ask in asked:
        answer_in_python(ask)
    predicted = answer_in_python(lambda: opened.predict({"x1": [0.5], "x2": [4.0]}))
    assert predicted is None or np.isfinite(predicted).all()


def answer_in_python(ask: Callable[[], Any]) -> Any:
    said = ""
    try:
        return ask()
    except GdpipeError as error:
        said = str(error)
    assert len(said.splitlines()) == 1
    return None


def train_next(base: Path, estimates: list[float]) -> None:
    """The next run, on the same data, is what it would have been."""
    done = train(base, "--run-id", "next", "--force")
    answered(done.code, done.err, 0)
    assert Run.at(base / "runs").parameters["estimate"].to_list() == estimates


def tried(good: Path, damage: Callable[[Path], bool], run: str, act: str) -> None:
    """One command after damage to a copy; the damage says whether a file that a manifest lists is another one now."""
    with folder() as base:
        shutil.copytree(good, base, dirs_exist_ok=True)
        changed = damage(base)
        if act == "train":
            train_next(base, Run.at(good / "runs").parameters["estimate"].to_list())
        elif act == "python":
            read_in_python(base / run)
        else:
            read(act, base, base / run, changed)


ACTS = st.sampled_from([*READERS, "python", "python", "train"])
RUNS = st.sampled_from(["runs", "runs", "runs/rejected/slow", "scores/runs/s"])


@st.composite
def json_damages(draw: st.DrawFn) -> Callable[[bytes], bytes]:
    """A field, found by walking down a few steps, is gone or is something else; or the text is no JSON."""
    steps, junk = draw(st.lists(st.integers(0, 40), min_size=1, max_size=4)), draw(st.sampled_from([*JUNK, KeyError]))
    plain = draw(st.none() | st.none() | st.none() | st.sampled_from(TEXTS) | damages())

    def damage(content: bytes) -> bytes:
        if plain is not None:
            return plain if isinstance(plain, bytes) else bytes(plain(content))
        document = json.loads(content)
        place, keys = document, []
        for step in steps:
            keys = list(place if isinstance(place, dict) else range(len(place)))
            key = keys[step % len(keys)]
            if step == steps[-1] or not isinstance(place[key], (dict, list)) or not place[key]:
                break
            place = place[key]
        if junk is KeyError:
            del place[key]
        else:
            place[key] = copy.deepcopy(junk)
        return json.dumps(document).encode()

    return damage


@SOME
@given(damage=json_damages(), run=RUNS, act=ACTS, pointer=st.booleans())
def test_damaged_json(damage: Callable[[bytes], bytes], run: str, act: str, pointer: bool, good: Path) -> None:
    def apply(base: Path) -> bool:
        inside = base / run if (base / run / "manifest.json").exists() else base / run / "runs" / "second"
        path = base / "runs" / "latest.json" if pointer else inside / "manifest.json"
        path.write_bytes(damage(path.read_bytes()))
        return False

    tried(good, apply, run, act)


PARQUET = [*TABLES, "predictions/part-00000"]


@SOME
@given(damage=damages(), name=st.sampled_from(PARQUET), act=ACTS)
def test_damaged_bytes_of_parquet(damage: Callable[[bytes], bytes], name: str, act: str, good: Path) -> None:
    def apply(base: Path) -> bool:
        path = base / "runs" / "runs" / "second" / f"{name}.parquet"
        before = path.read_bytes()
        path.write_bytes(damage(before))
        return path.read_bytes() != before

    tried(good, apply, "runs", act)


def dropped(table: pa.Table, j: int) -> pa.Table:
    return table.remove_column(j)


def twice(table: pa.Table, j: int) -> pa.Table:
    return table.append_column(table.schema.field(j), table.column(j))


def nulled(table: pa.Table, j: int) -> pa.Table:
    field = table.schema.field(j)
    return table.set_column(j, field, pa.nulls(table.num_rows, field.type))


def not_a_number(table: pa.Table, j: int) -> pa.Table:
    field = table.schema.field(j)
    values = pa.array([float("nan")] * table.num_rows) if pa.types.is_floating(field.type) else table.column(j)
    return table.set_column(j, field, values)


def as_text(table: pa.Table, j: int) -> pa.Table:
    return table.set_column(j, table.schema.names[j], pa.array(["?"] * table.num_rows))


def as_whole(table: pa.Table, j: int) -> pa.Table:
    return table.set_column(j, table.schema.names[j], pa.array([1] * table.num_rows))


def not_utf8(table: pa.Table, j: int) -> pa.Table:
    raw = pa.array([b"\xff"] * table.num_rows, pa.binary())
    text = pa.StringArray.from_buffers(len(raw), *raw.buffers()[1:], raw.buffers()[0])
    return table.set_column(j, table.schema.names[j], text)


def emptied(table: pa.Table, j: int) -> pa.Table:
    return table[:0]


def doubled(table: pa.Table, j: int) -> pa.Table:
    return pa.concat_tables([table, table])


CHANGES = [dropped, twice, nulled, not_a_number, as_text, as_whole, not_utf8, emptied, doubled]


@SOME
@given(
    change=st.sampled_from(CHANGES),
    name=st.sampled_from(PARQUET),
    column=st.integers(0, 20),
    act=ACTS,
    statistics=st.booleans(),
)
def test_other_tables_than_were_written(
    change: Callable[[pa.Table, int], pa.Table], name: str, column: int, act: str, statistics: bool, good: Path
) -> None:
    def apply(base: Path) -> bool:
        path = base / "runs" / "runs" / "second" / f"{name}.parquet"
        table = pq.ParquetFile(path).read()
        pq.write_table(change(table, column % table.num_columns), path, write_statistics=statistics)
        return True

    tried(good, apply, "runs", act)


@SOME
@given(damage=damages(), which=st.integers(0, 3))
def test_damaged_kept_sums(damage: Callable[[bytes], bytes], which: int, good: Path) -> None:
    def apply(base: Path) -> bool:
        kept = sorted((base / "runs" / "moments").iterdir())
        path = kept[which % len(kept)]
        path.write_bytes(damage(path.read_bytes()))
        return False

    tried(good, apply, "runs", "train")


@pytest.mark.parametrize("design", [{}, {"features": None, "levels": [], "fit_intercept": True}, [], 1])
def test_a_damaged_design_is_named(design: object, good: Path, tmp_path: Path) -> None:
    run = Run.at(good / "runs")
    damaged = Run(run.place, {**run.manifest, "design": design})
    with pytest.raises(PublishError, match=r"manifest\.json: its design is damaged"):
        _ = damaged.model
