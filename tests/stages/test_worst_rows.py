"""The rows with the largest residuals: by hand, ties in input order, the same for any cut."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import gdpipe
from gdpipe.stages.scan.worst_rows import MOST_ROWS, WorstRows
from tests.conftest import write_parquet
from tests.numerics.build import Floats


def worst(
    residual: Floats, used: np.ndarray | None = None, first: int = 0, before: WorstRows | None = None
) -> WorstRows:
    keys = [("id", pa.array(range(first, first + (len(residual) if used is None else len(used)))))]
    target = np.arange(len(residual), dtype=float)
    return (before or WorstRows()).joined_by(keys, target, target - residual, residual, used)


def ids(found: WorstRows) -> list[int]:
    return [int(row.key[0][1]) for row in found.rows]


def test_ties_are_in_input_order() -> None:
    assert ids(worst(np.array([1.0, -3.0, 2.0, 3.0, -3.0]))) == [1, 3, 4, 2, 0]


def test_rows_that_were_not_used_have_no_place() -> None:
    found = worst(np.array([5.0, 1.0]), np.array([False, True, False, True]))
    assert ids(found) == [1, 3]
    assert [row.residual for row in found.rows] == [5.0, 1.0]


@pytest.mark.parametrize("cut", [1, 7, 100])
def test_any_cut_gives_the_same_rows(cut: int) -> None:
    residual = np.random.default_rng(0).integers(-20, 20, 500).astype(float)  # with many ties
    expected = np.argsort(-np.abs(residual), kind="stable")[:MOST_ROWS].tolist()
    assert ids(worst(residual)) == expected
    parts = [worst(residual[i : i + cut], first=i) for i in range(0, 500, cut)]
    joined = WorstRows()
    for part in parts:
        joined = joined + part
    assert ids(joined) == expected
    one_after_another = WorstRows()
    for i in range(0, 500, cut):
        one_after_another = worst(residual[i : i + cut], first=i, before=one_after_another)
    assert ids(one_after_another) == expected


def test_the_page_names_them_by_key_or_by_file_and_row(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=400)
    y = 2 * x + rng.normal(size=400)
    y[123] += 50.0
    y[77] = np.nan
    write_parquet(tmp_path / "data" / "rows.parquet", {"x": x, "y": y, "name": [f"n{i}" for i in range(400)]})
    for run_id, key in (("keyed", ["name"]), ("plain", None)):
        run = gdpipe.train(
            source=str(tmp_path / "data"),
            target="y",
            features=["x"],
            output=str(tmp_path / run_id),
            run_id=run_id,
            **({"key": key} if key else {}),
        )
        page = (run.folder / "report.html").read_text()
        table = page[page.index("The worst rows") :]
        first = [cell.split("</td>")[0] for cell in table.split("</tr>")[1].split("<td>")[1:]]
        # the numbers first, as on a phone the others are to the right
        assert float(first[0]) == pytest.approx(float(first[1]) - float(first[2]), abs=1e-3)
        assert first[3:] == (["n123"] if key else ["rows.parquet", "123"])
