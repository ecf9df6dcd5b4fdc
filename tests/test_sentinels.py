"""Values that stand for none, such as 1e20 or -2^63, and are left out: the fit is that of the others, to the bit."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import gdpipe
from gdpipe.errors import DataError
from tests.conftest import write_parquet
from tests.runs import train

RNG = np.random.default_rng(1)
N = 500
ROWS = {"x": RNG.normal(size=N), "w": RNG.integers(1, 4, N).astype(float), "z": RNG.normal(size=N)}
ROWS["y"] = 3 * ROWS["x"] + ROWS["z"] + RNG.normal(size=N)
SENTINELS = [1e20, -(2.0**63), 1e300, float("inf"), float("-inf")]


def with_row(**values: float) -> dict[str, Any]:
    return {name: np.append(column, values.get(name, 1.0)) for name, column in ROWS.items()}


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> dict[str | None, gdpipe.Run]:
    base = tmp_path_factory.mktemp("plain")
    source = write_parquet(base / "a.parquet", ROWS)
    return {w: train(source, base / f"runs-{w}", features=["x", "z"], weight=w) for w in (None, "w")}


@pytest.mark.parametrize("sentinel", SENTINELS)
@pytest.mark.parametrize("column", ["x", "y", "w"])
@pytest.mark.parametrize("group_rows", [N + 1, N])
def test_a_sentinel_that_filters_leave_out(
    column: str, sentinel: float, group_rows: int, plain: dict[str | None, gdpipe.Run], tmp_path: Path
) -> None:
    source = write_parquet(tmp_path / "a.parquet", with_row(**{column: abs(sentinel)}), row_group_size=group_rows)
    weight = "w" if column == "w" else None
    settings: dict[str, Any] = {"features": ["x", "z"], "weight": weight, "filters": f"{column} < 1000"}
    run = train(source, tmp_path / "runs", **settings)
    for name in ("parameters", "convergence", "metrics"):
        pd.testing.assert_frame_equal(getattr(run, name), getattr(plain[weight], name), check_exact=True)
    assert run.manifest["rows"] == {**plain[weight].manifest["rows"]}
    again = train(source, tmp_path / "runs", force=True, **settings)  # by the sums that were kept
    assert again.manifest["rows"]["scanned"] == 0
    pd.testing.assert_frame_equal(again.parameters, run.parameters, check_exact=True)


@pytest.mark.parametrize("sentinel", SENTINELS[:2])
@pytest.mark.parametrize("reason", ["null", "weight"])
def test_a_sentinel_in_a_row_that_is_not_used(
    sentinel: float, reason: str, plain: dict[str | None, gdpipe.Run], tmp_path: Path
) -> None:
    unused = {"z": np.nan} if reason == "null" else {"w": 0.0}
    source = write_parquet(tmp_path / "a.parquet", with_row(x=sentinel, **unused))
    weight = "w" if reason == "weight" else None
    run = train(source, tmp_path / "runs", features=["x", "z"], weight=weight)
    pd.testing.assert_frame_equal(run.parameters, plain[weight].parameters, check_exact=True)


def test_float64_sums_beside_a_sentinel(plain: dict[str | None, gdpipe.Run], tmp_path: Path) -> None:
    for sentinel in SENTINELS:
        source = write_parquet(tmp_path / "a.parquet", with_row(x=sentinel, y=sentinel))
        run = train(source, tmp_path / "runs", features=["x", "z"], arithmetic="float64", filters="x BETWEEN -9 AND 9")
        expected = plain[None].parameters["estimate"].to_list()
        assert run.parameters["estimate"].to_list() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("sentinel", SENTINELS[2:])
def test_a_sentinel_that_passes_is_named_with_its_row(sentinel: float, tmp_path: Path) -> None:
    source = write_parquet(tmp_path / "a.parquet", with_row(x=sentinel))
    for filters in (None, "z < 1000"):
        with pytest.raises(DataError, match=rf"a\.parquet: column 'x' is .* in row {N}; correct it"):
            train(source, tmp_path / "runs", features=["x", "z"], filters=filters)


def test_integers_at_their_least(tmp_path: Path) -> None:
    x = np.append(np.arange(N), -(2**63))
    y = np.append(2.0 * np.arange(N) + ROWS["z"], 0.0)
    source = write_parquet(tmp_path / "a.parquet", {"x": x, "y": y})
    run = train(source, tmp_path / "runs", filters=[("x", "!=", -(2**63))])
    slope, intercept = np.polyfit(x[:-1], y[:-1], 1)
    assert run.parameters["estimate"].to_list() == pytest.approx([intercept, slope], rel=1e-9)
