"""Sums on the disk and back."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gdpipe.errors import DataError
from gdpipe.numerics.sums.moments import Moments
from gdpipe.stages.moments_table import from_table, to_table
from tests.numerics.build import moments

NAMES = ["a", "b", "y"]


def some(seed: int, *, weighted: bool = True) -> Moments:
    rng = np.random.default_rng(seed)
    columns = rng.normal(size=(3, 50)) * 10.0 ** rng.integers(-200, 140, (3, 1))
    return moments(columns, rng.uniform(0.1, 3, 50) if weighted else None)


@given(st.integers(0, 10_000), st.booleans())
def test_a_table_holds_the_sums_without_loss(seed: int, weighted: bool) -> None:
    written = some(seed, weighted=weighted)
    read = from_table(to_table(written, NAMES), NAMES)
    assert read == written
    assert (read.products == written.products).all()
    assert read.exponents.tolist() == written.exponents.tolist()
    assert read.weight_exponent == written.weight_exponent


def test_parquet_holds_them_too_and_they_still_add_up(tmp_path: Path) -> None:
    first, second = some(1), some(2)
    for name, sums in (("first", first), ("second", second)):
        pq.write_table(to_table(sums, NAMES), tmp_path / name)
    kept = [from_table(pq.read_table(tmp_path / name), NAMES) for name in ("first", "second")]
    assert kept[0] + kept[1] == first + second
    assert kept[0] + kept[1] - kept[1] == first


def test_sums_of_other_columns_and_damaged_ones_are_refused() -> None:
    table = to_table(some(0), NAMES)
    with pytest.raises(DataError, match="other columns"):
        from_table(table, ["a", "c", "y"])
    broken = table.set_column(2, table.schema.field("value"), pa.array(["1.5"] * table.num_rows))
    with pytest.raises(DataError, match="damaged"):
        from_table(broken, NAMES)
    with pytest.raises(DataError, match="damaged"):
        from_table(table.replace_schema_metadata(None), NAMES)
