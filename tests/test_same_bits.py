"""The same rows give the same bits, however they are stored, read or shared out."""

import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import gdpipe
from gdpipe import pipeline
from tests import runs

ROWS = 400_000


def table(rows: int, seed: int) -> pa.Table:
    rng = np.random.default_rng(seed)
    a, b = rng.normal(1e4, 1.0, rows), rng.lognormal(0.0, 2.0, rows)
    c = rng.integers(-5, 6, rows)
    y = 0.3 * a - 1.7 * b + 12 * c + rng.standard_t(4, rows)
    gap = rng.random(rows) < 0.01
    return pa.table(
        {
            "id": np.arange(rows),
            "a": a,
            "b": pa.array(b, mask=gap),
            "c": pa.array(c, pa.int16()),
            "w": rng.uniform(0.0, 2.0, rows),
            "y": y,
        }
    )


def bits(run: gdpipe.Run) -> tuple[bytes, ...]:
    """Everything that was published, as bytes; predictions in the order of the rows' ids."""
    predictions = run.predictions.sort_values("id", kind="stable")
    frames = [run.parameters, run.loss_history, run.convergence, predictions]
    exact = [pa.Table.from_pandas(f, preserve_index=False).to_pandas().to_json(double_precision=15) for f in frames]
    numbers = [f.select_dtypes("number").to_numpy().tobytes() for f in frames]
    path = np.concatenate(run.loss_history["estimate_scaled"].to_numpy()).tobytes()
    return (*(text.encode() for text in exact), *numbers, path)


def train(source: Path, output: Path, **extra: object) -> gdpipe.Run:
    return runs.train(source, output, **{"key": ["id"], "weight": "w", **extra})


def one_file(rows: pa.Table, folder: Path) -> None:
    pq.write_table(rows, folder / "all.parquet")


def four_files(rows: pa.Table, folder: Path) -> None:
    for part, start in enumerate(range(0, len(rows), len(rows) // 4)):
        pq.write_table(rows.slice(start, len(rows) // 4), folder / f"{part}.parquet")


def odd_row_groups(rows: pa.Table, folder: Path) -> None:
    pq.write_table(rows, folder / "all.parquet", row_group_size=7_001, compression="zstd")


def reversed_files(rows: pa.Table, folder: Path) -> None:
    for part, start in enumerate(range(0, len(rows), len(rows) // 4)):
        pq.write_table(rows.slice(start, len(rows) // 4), folder / f"{9 - part}.parquet")


LAYOUTS: list[Callable[[pa.Table, Path], None]] = [four_files, odd_row_groups, reversed_files]


@pytest.fixture(scope="module")
def rows() -> pa.Table:
    return table(ROWS, 0)


@pytest.fixture(scope="module")
def reference(rows: pa.Table, tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, ...]:
    folder = tmp_path_factory.mktemp("reference")
    (folder / "data").mkdir()
    one_file(rows, folder / "data")
    return bits(train(folder / "data", folder / "runs"))


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda f: str(f.__name__))
def test_any_layout(
    layout: Callable[[pa.Table, Path], None], rows: pa.Table, reference: tuple[bytes, ...], tmp_path: Path
) -> None:
    (tmp_path / "data").mkdir()
    layout(rows, tmp_path / "data")
    assert bits(train(tmp_path / "data", tmp_path / "runs")) == reference


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_any_number_of_threads_in_little_memory(
    workers: int, rows: pa.Table, reference: tuple[bytes, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data").mkdir()
    odd_row_groups(rows, tmp_path / "data")
    monkeypatch.setattr(pipeline, "open_executor", lambda *_: ThreadPoolExecutor(workers))
    assert bits(train(tmp_path / "data", tmp_path / "runs", memory="32MiB")) == reference


def test_one_changed_bit_is_seen(rows: pa.Table, reference: tuple[bytes, ...], tmp_path: Path) -> None:
    a = rows["a"].to_numpy().copy()
    a[123_456] = np.nextafter(a[123_456], np.inf)
    (tmp_path / "data").mkdir()
    one_file(rows.set_column(1, "a", pa.array(a)), tmp_path / "data")
    assert bits(train(tmp_path / "data", tmp_path / "runs")) != reference


@pytest.fixture
def folders(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Path]:
    return lambda: tmp_path_factory.mktemp("cut")


@settings(max_examples=12, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 99),
    n=st.integers(8, 300),
    cuts=st.lists(st.integers(1, 299), max_size=3),
    group=st.integers(1, 80),
    weighted=st.booleans(),
    arithmetic=st.just("exact"),
)
def test_any_cut_of_small_data_with_nulls_and_weights(
    seed: int, n: int, cuts: list[int], group: int, weighted: bool, arithmetic: str, folders: Callable[[], Path]
) -> None:
    rows, found = table(n, seed), []
    for edges in ([0, n], sorted({0, n, *(c for c in cuts if c < n)})):
        folder = folders()
        (folder / "data").mkdir()
        for part, (start, stop) in enumerate(itertools.pairwise(edges)):
            pq.write_table(rows.slice(start, stop - start), folder / "data" / f"{part}.parquet", row_group_size=group)
        extra = {"arithmetic": arithmetic, "weight": "w" if weighted else None, "features": ["a", "b", "c"]}
        found.append(bits(train(folder / "data", folder / "runs", **extra)))
    assert found[0] == found[1]


def test_whole_weights_are_repeated_rows_through_the_whole_program(tmp_path: Path) -> None:
    frame = table(500, 3).drop_columns(["w"]).to_pandas()
    times = np.random.default_rng(1).integers(0, 4, 500)
    frame.assign(w=times).to_parquet(tmp_path / "weighted.parquet")
    frame.loc[frame.index.repeat(times)].reset_index(drop=True).to_parquet(tmp_path / "repeated.parquet")
    weighted = train(tmp_path / "weighted.parquet", tmp_path / "runs")
    repeated = train(tmp_path / "repeated.parquet", tmp_path / "runs", weight=None)
    pd.testing.assert_frame_equal(weighted.parameters, repeated.parameters, check_exact=True)
    pd.testing.assert_frame_equal(weighted.loss_history, repeated.loss_history, check_exact=True)
    same = [c for c in weighted.metrics if c not in {"n_samples", "durbin_watson"}]
    pd.testing.assert_frame_equal(weighted.metrics[same], repeated.metrics[same], check_exact=True)
