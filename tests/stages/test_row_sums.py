"""What a scan learns of some rows: added, taken away, and kept as JSON."""

import json
import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gdpipe.design import Input
from gdpipe.numerics.sums.cell_sums import CellSums
from gdpipe.numerics.sums.moments import Moments
from gdpipe.source.columns import read_columns
from gdpipe.stages.scan.row_sums import Account, Position, Sums, used_rows
from tests.numerics.build import Floats, moments

FIRST = Position("data/ä.parquet", 7, "x1")


def some(seed: int, *, weighted: bool = True) -> Sums:
    rng = np.random.default_rng(seed)
    columns = rng.normal(size=(3, 50)) * 10.0 ** rng.integers(-200, 140, (3, 1))
    weights = rng.uniform(0.1, 3, 50)
    largest = np.abs([*columns, weights] if weighted else columns).max(axis=1)
    missing = np.arange(3 + weighted)
    return Sums(
        CellSums(moments(columns, weights if weighted else None)),
        Account(60, 50, 2, missing),
        float(weights.min()) if weighted else math.inf,
        not weighted,
        FIRST if seed % 2 else None,
        largest,
    )


@given(st.integers(0, 10_000), st.booleans())
def test_json_holds_them_without_loss(seed: int, weighted: bool) -> None:
    written = some(seed, weighted=weighted)
    text = json.dumps(written.to_json(), allow_nan=False)
    read = Sums.from_json(json.loads(text), 3, weighted=weighted)
    assert read.moments == written.moments
    assert isinstance(read.moments, Moments)
    assert isinstance(written.moments, Moments)
    assert read.moments.exponents.tolist() == written.moments.exponents.tolist()
    assert read.account.gap(written.account) == 0
    assert (read.largest == written.largest).all()
    for name in ("least_weight", "whole_weights", "first_missing"):
        assert getattr(read, name) == getattr(written, name)
    assert json.dumps(read.to_json()) == text


def test_what_was_kept_still_adds_up() -> None:
    first, second = some(1), some(2)
    kept = [Sums.from_json(json.loads(json.dumps(sums.to_json())), 3, weighted=True) for sums in (first, second)]
    both = kept[0] + kept[1]
    assert both.moments == (first + second).moments
    assert (both.account.read, both.account.used) == (120, 100)
    left = both - kept[1]
    assert left.moments == first.moments
    assert left.account.gap(first.account) == 0


@pytest.mark.parametrize("name", some(1).to_json())
def test_no_value_of_another_kind_is_taken(name: str) -> None:
    entry = some(1).to_json()
    for value in ("x", [True], [[1]]):
        if name == "whole_weights":  # whatever is there is true or not
            break
        with pytest.raises((LookupError, TypeError, ValueError)):
            Sums.from_json({**entry, name: value}, 3, weighted=True)
    with pytest.raises(KeyError):
        Sums.from_json({key: value for key, value in entry.items() if key != name}, 3, weighted=True)
    for k, weighted in ((2, True), (4, True), (3, False)):
        with pytest.raises(ValueError, match=r"no list of|largest magnitudes of"):
            Sums.from_json(entry, k, weighted=weighted)


@pytest.mark.parametrize("value", [1.0, 1.5, True, None, "1"])
def test_a_number_that_is_no_integer_is_no_sum(value: object) -> None:
    for name in ("sums", "products", "exponents", "missing"):
        entry = some(0).to_json()
        entry[name][1] = value
        with pytest.raises(ValueError, match="no list of"):
            Sums.from_json(entry, 3, weighted=True)


@pytest.mark.parametrize(
    ("weights", "used"), [(None, [0, 2]), ([1.0, 1.0, 0.0], [0]), ([2.0, 0.0, 0.5], [0, 2]), ([None, 1.0, 1.0], [2])]
)
def test_rows_used_are_complete_and_of_positive_weight(weights: list[float] | None, used: list[int]) -> None:
    table = pa.table({"x": [1.0, None, 3.0], "w": weights or [1.0, 1.0, 1.0]})
    block = read_columns(table, [*map(Input, ["x", "w"] if weights else ["x"])])
    rows = used_rows(block, weighted=weights is not None)
    assert rows is not None
    assert np.flatnonzero(rows).tolist() == used
    account = Account.of(block, rows)
    complete = 3 - len({1} | {i for i, w in enumerate(weights or []) if w is None})
    assert (account.read, account.used, account.zero_weight) == (3, len(used), complete - len(used))
    assert account.missing.tolist() == [1] if weights is None else [1, weights.count(None)]  # type: ignore[arg-type]  # a list of numbers and None


def test_where_all_rows_are_used_nothing_is_left_out() -> None:
    columns: dict[str, Floats] = {"x": np.ones(3), "w": np.ones(3)}
    block = read_columns(pa.table(columns), [Input("x"), Input("w")])
    assert used_rows(block, weighted=True) is None
    assert Account.of(block, None).gap(Account(3, 3, 0, np.zeros(2, np.int64))) == 0
