"""A run whose numbers are not those of the rows does not pass: kept sums that were changed, files that were replaced.

25 changes of each kind in `make test`; `make fuzz` makes 200 (GDPIPE_FUZZ).
"""

import dataclasses
import hashlib
import json
import logging
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import gdpipe
from gdpipe.config import TrainingConfig
from gdpipe.pipeline import Steps
from gdpipe.pipeline import train as train_in_steps
from gdpipe.stages.predict import predict
from gdpipe.store.cache import key_of
from tests import runs
from tests.conftest import gdpipe_cli, line_columns, write_parquet
from tests.runs import entries

FUZZ = settings(
    max_examples=int(os.environ.get("GDPIPE_FUZZ", "25")),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
UNWEIGHTED: dict[str, Any] = {"features": ["x1", "x2", "beside"]}
WEIGHTED: dict[str, Any] = {**UNWEIGHTED, "weight": "w"}
# beside a constant nearly every change is one that no rows explain
CONSTANT: dict[str, Any] = {"features": ["x1", "x2", "beside", "still"]}


def columns(seed: int, n: int = 80) -> dict[str, Any]:
    """A line with gaps, a constant, a feature whose coefficient is 0 to the last digit, and weights."""
    found = line_columns(n, seed)
    found["x1"] = pa.array(found["x1"], mask=np.arange(n) % 20 == 3)
    found["still"] = np.full(n, 2.5)
    found["w"] = np.arange(n) % 4 / 2
    # every complete row twice, once with -1 and once with 1
    half = {name: np.asarray(values)[: n // 2] for name, values in found.items() if name != "x1"}
    twice = {name: np.concatenate([values, values]) for name, values in half.items()}
    x1 = pa.concat_arrays([found["x1"][: n // 2]] * 2)
    return {**twice, "x1": x1, "beside": np.repeat([-1.0, 1.0], n // 2)}


def write(path: Path, table: dict[str, Any], *, statistics: bool = True) -> Path:
    """Plain: a file with other values has the same size and, without statistics, the same footer."""
    return write_parquet(path, table, use_dictionary=False, compression="none", write_statistics=statistics)


def train(source: Path, output: Path, **options: Any) -> gdpipe.Run:
    # the sums of folds would contradict those of all rows, if these are changed
    return runs.train(source, output, **{"force": True, "folds": 0, **options})


Entry = dict[str, Any]
Change = Callable[[Entry], object]


def rewrite(output: Path, change: Change, which: int = 0) -> None:
    """Change an entry of the kept sums, under a checksum that holds."""
    path = entries(output)[which]
    entry = json.loads(path.read_text())
    key = key_of(entry["of"])
    path.unlink()
    change(entry)
    content = json.dumps(entry).encode()
    path.with_name(f"{key}-{hashlib.sha256(key.encode() + content).hexdigest()}.json").write_bytes(content)


def place_of(entry: Entry, first: str | None, second: str | None) -> tuple[list[int] | Entry, Any, int]:
    """Where the sum of the weights, of a column or of a product is, and the power of two that it counts."""
    names, exponents = [name for name, *_ in entry["of"]["columns"]], entry["exponents"]
    if first is None:
        return entry, "weight", entry["weight_exponent"]
    i = names.index(first)
    if second is None:
        return entry["sums"], i, entry["weight_exponent"] + exponents[i]
    j, k = names.index(second), len(exponents)
    at = sum(range(k, k - i, -1)) + j - i
    return entry["products"], at, entry["weight_exponent"] + exponents[i] + exponents[j]


def with_value(first: str | None, second: str | None, to: Callable[[int], int]) -> Change:
    def change(entry: Entry) -> None:
        among, at, _ = place_of(entry, first, second)
        among[at] = to(among[at])

    return change


def with_more(first: str, second: str | None, size: float) -> Change:
    """A sum that is larger by so much."""

    def change(entry: Entry) -> None:
        among, at, exponent = place_of(entry, first, second)
        among[at] += int(size * 2.0**-exponent)

    return change


def with_entry(**values: Any) -> Change:
    return lambda entry: entry.update(values)


def with_column(name: str, column: str, value: Any) -> Change:
    """Another number in a list that has one a column."""

    def change(entry: Entry) -> None:
        entry[name][[of for of, *_ in entry["of"]["columns"]].index(column)] = value

    return change


def numbers(run: gdpipe.Run) -> dict[str, Any]:
    """All that a run says of the rows."""
    found = {
        f"{name}.{column}": np.asarray(values, float)
        for name, frame in (("parameters", run.parameters), ("metrics", run.metrics))
        for column, values in frame.select_dtypes("number").items()
    }
    rows = {name: value for name, value in run.manifest["rows"].items() if name not in {"null", "scanned"}}
    return {**found, **rows, **{f"null.{name}": count for name, count in run.manifest["rows"]["null"].items()}}


def assert_not_refuted(run: gdpipe.Run, rows: gdpipe.Run) -> None:
    """The numbers are those of the rows, as far as anyone may look; NaN refutes nothing."""
    mine, theirs = numbers(run), numbers(rows)
    assert mine.keys() == theirs.keys()
    for name in mine:
        known = ~np.isnan(np.asarray(mine[name], float))
        np.testing.assert_allclose(
            np.asarray(mine[name])[known], np.asarray(theirs[name])[known], rtol=1e-6, atol=1e-9, err_msg=name
        )


# kept sums


@pytest.fixture(scope="module", params=[UNWEIGHTED, WEIGHTED], ids=["unweighted", "weighted"])
def kept(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Path, dict[str, Any], gdpipe.Run]:
    """A source, an output with the sums of its files, the settings, and the run that left them.

    Each test changes the sums, and has them made anew for the next.
    """
    folder = tmp_path_factory.mktemp("kept")
    for seed in (0, 1):
        write(folder / "data" / f"{seed}.parquet", columns(seed))
    run = train(folder / "data", folder / "runs", **request.param)
    return folder / "data", folder / "runs", request.param, run


@pytest.mark.parametrize(
    ("change", "check"),
    [
        (with_value("y", None, lambda v: v + v // 100), "row_mean_gap"),
        (with_value("y", "y", lambda v: v * 1001 // 1000), "row_loss_gap"),
        (with_value("x1", "y", lambda v: v * 1001 // 1000), "row_loss_gap"),
        (with_value("x1", None, lambda v: v + v // 100), "row_mean_gap"),
        # the fit gives no weight to these
        (with_value("beside", "beside", lambda v: v * 999 // 1000), "row_probe_gap"),
        (with_more("x1", "beside", 1e-6), "row_probe_gap"),
        (with_more("beside", None, 1e-6), "row_probe_gap"),
    ],
)
def test_changed_sums_do_not_pass_beside_the_rows(
    kept: tuple[Path, Path, dict[str, Any], gdpipe.Run], change: Change, check: str
) -> None:
    data, output, options, honest = kept
    rewrite(output, change)
    with pytest.raises(gdpipe.ConvergenceError, match=rf"(?s){check} .* is above its limit .*moments/ of the output"):
        train(data, output, **options)
    # what the message says to do helps
    for entry in entries(output):
        entry.unlink()
    assert_not_refuted(train(data, output, **options), honest)


IMPOSSIBLE: dict[str, Change] = {
    "used": with_entry(used=1_000_000),
    "none used": with_entry(used=0),
    "negative used": with_entry(used=-3),
    "weight": with_value(None, None, lambda v: v * 10_000),
    "negative square": with_value("x1", "x1", lambda v: -v),
    "variance": with_value("x2", "x2", lambda v: v // 2),
    "sum": with_value("x2", None, lambda v: v * 3),
    "covariance": with_value("x1", "x2", lambda v: v * 100),
    "a sum of 4,000 digits": with_value("x1", "x2", lambda v: 10**4000),
    "read": with_entry(read=10**6),
    "fewer read": lambda e: e.update(read=e["read"] - 1),
    "read a fraction": lambda e: e.update(read=e["read"] + 0.0),
    "read beyond any integer": with_entry(read=10**30),
    "missing": with_column("missing", "y", 10**6),
    "negative missing": with_column("missing", "y", -1),
    "missing beyond int64": with_column("missing", "y", 2**80),
    "zero_weight": with_entry(zero_weight=70),
    "largest": with_column("largest", "x1", 1e300),
    "smaller largest": with_column("largest", "x2", 1e-3),
    "largest NaN": with_column("largest", "x1", float("nan")),
    "largest of text": with_column("largest", "x1", "x"),
    "least_weight": with_entry(least_weight=1e9),
    "first_missing": with_entry(first_missing=None),
    "first_missing elsewhere": lambda e: e["first_missing"].update(path="elsewhere"),
    "first_missing in another column": lambda e: e["first_missing"].update(column="y"),
    "first_missing beyond the file": lambda e: e["first_missing"].update(row=10**6),
    "first_missing is a list": with_entry(first_missing=[1]),
    "exponents": lambda e: e.update(exponents=[exponent + 10 for exponent in e["exponents"]]),
    "one exponent": with_column("exponents", "x1", 0),
    "no exponent": with_column("exponents", "x1", None),
    "an exponent beyond int64": with_column("exponents", "x1", 2**80),
    "exponents of text": with_column("exponents", "x1", "0"),
    "the weights' exponent": lambda e: e.update(weight_exponent=e["weight_exponent"] + 10),
    "no sums": lambda e: e.pop("sums"),
    "fewer products": lambda e: e["products"].pop(),
    "products are a number": with_entry(products=1),
    "nothing but what it is of": lambda e: [e.pop(name) for name in list(e) if name != "of"],
    "another file": with_entry(of={}),
}


@pytest.mark.parametrize("change", IMPOSSIBLE.values(), ids=IMPOSSIBLE)
def test_sums_that_no_rows_have_are_not_used_and_made_anew(
    kept: tuple[Path, Path, dict[str, Any], gdpipe.Run], change: Change, caplog: pytest.LogCaptureFixture
) -> None:
    data, output, options, honest = kept
    before = [entry.name for entry in entries(output)]
    rewrite(output, change)
    with caplog.at_level(logging.WARNING, logger="gdpipe"):
        run = train(data, output, predict="none", **options)
    [line] = caplog.messages
    assert line.startswith(f"removing {output / 'moments'}"), line
    assert "made anew" in line
    assert_not_refuted(run, honest)
    assert [entry.name for entry in entries(output)] == before


def test_who_may_write_kept_sums_can_forge_them_where_no_row_is_read_again(tmp_path: Path) -> None:
    """The documents say so; the verdict says what was not looked at."""
    write(tmp_path / "data" / "0.parquet", columns(0))
    output = tmp_path / "runs"
    train(tmp_path / "data", output, **UNWEIGHTED)
    rewrite(output, with_value("y", None, lambda v: v + v // 100))
    run = train(tmp_path / "data", output, predict="none", **UNWEIGHTED)
    assert "not checked against the rows" in run.manifest["verdict"]["reason"]
    with pytest.raises(gdpipe.ConvergenceError):
        train(tmp_path / "data", output, **UNWEIGHTED)


@pytest.mark.parametrize("options", [UNWEIGHTED, WEIGHTED], ids=["unweighted", "weighted"])
def test_new_rows_are_held_against_their_own_sums(tmp_path: Path, options: dict[str, Any]) -> None:
    data, output = tmp_path / "data", tmp_path / "runs"
    write(data / "0.parquet", columns(0))
    train(data, output, **options)
    write(data / "1.parquet", columns(1))
    run = train(data, output, predict="new", **options)
    verdict = run.convergence.iloc[0]
    assert verdict["row_count_gap"] == verdict["row_weight_gap"] == 0
    assert verdict["row_loss_gap"] <= verdict["row_loss_gap_limit"]

    write(data / "2.parquet", columns(2))
    before = set(entries(output))
    train(data, output, predict="none", run_id="other", latest=False, **options)  # keeps the new file's sums
    [new] = set(entries(output)) - before
    rewrite(output, with_value("y", None, lambda v: v + v // 100), entries(output).index(new))
    with pytest.raises(gdpipe.ConvergenceError, match="row_mean_gap"):
        train(data, output, predict="new", **options)


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Path, Path, dict[str, Any], gdpipe.Run]]:
    """A source, an output, the settings and the run, for settings of each kind."""
    data = tmp_path_factory.mktemp("source")
    for seed in (0, 1):
        write(data / f"{seed}.parquet", columns(seed))
    outputs = [(tmp_path_factory.mktemp("output"), options) for options in (UNWEIGHTED, WEIGHTED, CONSTANT)]
    return [(data, output, options, train(data, output, **options)) for output, options in outputs]


@FUZZ
@given(draw=st.data(), kind=st.sampled_from([0, 0, 1, 1, 2]))
def test_no_number_of_a_kept_entry_can_be_changed_into_a_wrong_result(
    draw: st.DataObject, kind: int, honest: list[tuple[Path, Path, dict[str, Any], gdpipe.Run]]
) -> None:
    data, output, options, right = honest[kind]
    whole = {entry: entry.read_bytes() for entry in entries(output)}
    rewrite(output, draw.draw(changes(json.loads(entries(output)[0].read_text()))))
    try:
        run = train(data, output, latest=False, **options)
    except (gdpipe.ConvergenceError, gdpipe.DataError):
        pass
    else:
        assert_not_refuted(run, right)
    finally:
        for entry in entries(output):
            entry.unlink()
        for entry, content in whole.items():
            entry.write_bytes(content)


@st.composite
def changes(draw: st.DrawFn, entry: Entry) -> Change:
    """One number of an entry becomes another."""
    factor = draw(st.sampled_from([-1, 0, 2, 10]) | st.floats(-2, 2) | st.floats(0.99, 1.01))
    step = draw(st.sampled_from([0, 0, 1, -1, 7]))

    def other(value: Any) -> Any:
        return int(value * int(factor * 2**40) >> 40) + step if isinstance(value, int) else value * factor + step

    places: list[tuple[str, int | None]] = [(name, None) for name in ("read", "used", "zero_weight", "least_weight")]
    places += [(name, i) for name in ("missing", "largest") for i in range(len(entry[name]))]
    sums: list[tuple[str, int | None]] = [("weight", None)]
    sums += [(name, i) for name in ("sums", "products") for i in range(len(entry[name]))]
    name, at = draw(st.sampled_from(places) | st.sampled_from(sums))

    def change(entry: Entry) -> None:
        if at is None:
            entry[name] = other(entry[name] or 0)
        else:
            entry[name][at] = other(entry[name][at])

    return change


# files that change between the scans


def between_scans(change: Callable[[], object], data: Path, output: Path, **options: Any) -> gdpipe.Run:
    """Train, and do something to the source after the first scan."""

    def changed(*args: Any, **more: Any) -> Any:
        change()
        return predict(*args, **more)

    config = TrainingConfig(source=str(data), target="y", output=str(output), report=False, force=True, **options)
    return train_in_steps(config, dataclasses.replace(Steps(), predict=changed))


def replace_unseen(file: Path, table: dict[str, Any]) -> None:
    """Other rows under the same name, size and time."""
    before = file.stat()
    write(file, table, statistics=False)
    assert file.stat().st_size == before.st_size
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize("arithmetic", ["exact", "float64"])
@pytest.mark.parametrize("options", [UNWEIGHTED, WEIGHTED], ids=["unweighted", "weighted"])
def test_a_file_replaced_between_the_scans_does_not_pass(
    tmp_path: Path, options: dict[str, Any], arithmetic: str
) -> None:
    file, old = write(tmp_path / "data" / "0.parquet", columns(0), statistics=False), columns(0)
    noisier = {**old, "y": old["y"] + 0.01 * np.sign(old["y"] - np.median(old["y"]))}

    def replaced() -> None:
        replace_unseen(file, noisier)

    with pytest.raises(gdpipe.ConvergenceError, match=r"row_loss_gap .* is above its limit"):
        between_scans(replaced, file.parent, tmp_path / "runs", arithmetic=arithmetic, **options)
    assert not (tmp_path / "runs" / "latest.json").exists()


def test_a_file_that_changes_during_the_second_scan_is_named(tmp_path: Path) -> None:
    paths = [write(tmp_path / "data" / f"{seed}.parquet", columns(seed)) for seed in (0, 1)]
    for change in (lambda: os.utime(paths[1]), lambda: write(paths[1], columns(1, 120)), paths[1].unlink):
        with pytest.raises(gdpipe.DataError, match=r"1\.parquet") as raised:
            between_scans(change, paths[0].parent, tmp_path / "runs", **UNWEIGHTED)
        assert len(str(raised.value).splitlines()) == 1
        write(paths[1], columns(1))
    assert not (tmp_path / "runs" / "latest.json").exists()


@FUZZ
@given(
    name=st.sampled_from(["x1", "x2", "beside", "y", "w"]),
    how=st.sampled_from(["shift", "scale", "replace", "swap", "gaps"]),
    size=st.floats(1e-6, 1) | st.floats(-1, -1e-6),
    seed=st.integers(0, 1000),
    weighted=st.booleans(),
    arithmetic=st.sampled_from(["exact", "float64"]),
)
@example(name="w", how="scale", size=-1.0, seed=0, weighted=True, arithmetic="float64")  # no row has a weight
def test_no_column_can_be_replaced_between_the_scans_into_a_wrong_result(
    name: str, how: str, size: float, seed: int, weighted: bool, arithmetic: str
) -> None:
    options = {**(WEIGHTED if weighted else UNWEIGHTED), "arithmetic": arithmetic}
    before = columns(0)
    old = np.asarray(before[name], float)
    rng = np.random.default_rng(seed)
    values = {
        "shift": old + size,
        "scale": old * (1 + size),
        "replace": rng.uniform(0, 2, len(old)),
        "swap": rng.permutation(old),
        "gaps": np.where(rng.random(len(old)) < 0.1, np.nan, old),
    }[how]
    values = np.where(np.isnan(old), np.nan, np.abs(values) if name == "w" else values)
    with tempfile.TemporaryDirectory() as folder:
        data, output = Path(folder) / "data", Path(folder) / "runs"
        file = write(data / "0.parquet", {**before, name: old}, statistics=False)

        def replaced() -> None:
            stat = file.stat()
            write(file, {**before, name: values}, statistics=False)
            os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))

        try:
            run = between_scans(replaced, data, output, **options)
        except (gdpipe.ConvergenceError, gdpipe.DataError):
            return
        assert_not_refuted(run, runs.train(data, Path(folder) / "anew", force=True, **options))


def test_a_message_of_the_checks_is_one_line_on_a_terminal(tmp_path: Path) -> None:
    write(tmp_path / "data" / "0.parquet", columns(0))
    command = ("train", tmp_path / "data", "--target", "y", "--features", "x1,x2", "--output", tmp_path / "runs")
    assert gdpipe_cli(*command, "--predict", "none").code == 0
    rewrite(tmp_path / "runs", with_value("y", None, lambda v: v + v // 100))
    done = gdpipe_cli(*command)
    assert done.code == 1
    assert len(done.err.splitlines()) == 1, done.err
    assert "moments/ of the output removed" in done.err
