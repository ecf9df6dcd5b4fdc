"""Decimals as float64, against what Python makes of the same Decimal."""

import decimal
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gdpipe.design import Input
from gdpipe.source.columns import read_columns
from gdpipe.source.decimals import nearest

MAKERS: dict[int, Any] = {32: pa.decimal32, 64: pa.decimal64, 128: pa.decimal128, 256: pa.decimal256}
DIGITS = {32: 9, 64: 18, 128: 38, 256: 76}


def scaled(whole: int, scale: int) -> Decimal:
    with decimal.localcontext(prec=100):
        return Decimal(whole).scaleb(-scale)


def column(bits: int, precision: int, scale: int, wholes: list[int | None]) -> tuple[pa.Array, list[Any]]:
    """Whole numbers over a power of ten, and the floats that Python makes of them."""
    values = [None if whole is None else scaled(whole, scale) for whole in wholes]
    return pa.array(values, MAKERS[bits](precision, scale)), [None if v is None else float(v) for v in values]


@pytest.mark.parametrize("bits", MAKERS)
def test_ten_thousand_values_of_two_decimals(bits: int) -> None:
    wholes = np.random.default_rng(0).integers(-(10**8), 10**8, 10_000)
    made, expected = column(bits, DIGITS[bits], 2, wholes.tolist())
    assert nearest(made).tolist() == expected
    # what Arrow itself makes of them differs here and there: the reason for all this
    assert made.cast(pa.float64(), safe=False).to_pylist() != expected


@pytest.mark.parametrize("bits", [128, 256])
@pytest.mark.parametrize("scale", [0, 2, 18, 22, 23, 30, 38])
def test_ten_thousand_values_of_any_length(bits: int, scale: int) -> None:
    rng = np.random.default_rng(scale)
    lengths = rng.integers(1, 39, 10_000)
    wholes = [int(a) * 10**19 + int(b) for a, b in rng.integers(-(10**18), 10**18, (10_000, 2))]
    made, expected = column(bits, DIGITS[bits], scale, [w % 10 ** int(k) for w, k in zip(wholes, lengths, strict=True)])
    assert nearest(made).dtype == np.float64
    assert nearest(made).tolist() == expected


@given(st.data())
def test_any_decimal_is_the_nearest_float(data: st.DataObject) -> None:
    bits = data.draw(st.sampled_from(list(MAKERS)))
    scale = data.draw(st.integers(0, DIGITS[bits]))
    edges = [
        sign * (2**power + d) for power in (0, 31, 53, 62, 63, 64, 127, 128) for d in (-1, 0, 1) for sign in (1, -1)
    ]
    fitting = [edge for edge in edges if abs(edge) < 10 ** DIGITS[bits]]
    limit = 10 ** DIGITS[bits] - 1
    wholes = data.draw(st.lists(st.none() | st.sampled_from(fitting) | st.integers(-limit, limit), max_size=12))
    made, expected = column(bits, DIGITS[bits], scale, wholes)
    start = data.draw(st.integers(0, len(wholes)))
    for part, values in ((made, expected), (made[start:], expected[start:])):
        block = read_columns(pa.table({"x": part}), [Input("x")])
        assert block.numbers[0].tolist() == [v or 0.0 for v in values]
        assert (block.missing is None) == (None not in values)
        if block.missing is not None:
            assert block.missing[0].tolist() == [v is None for v in values]


def test_slices_chunks_and_dictionaries() -> None:
    made, expected = column(128, 15, 2, [-101, None, 115, 2**40 + 7, -229])
    table = pa.table({"x": pa.chunked_array([made[1:3], made[3:]]), "d": made.dictionary_encode()[1:]})
    block = read_columns(table, [Input("x"), Input("d")])
    assert np.array(block.numbers).tolist() == [[v or 0.0 for v in expected[1:]]] * 2
    assert block.missing is not None
    assert block.missing.tolist() == [[True, False, False, False]] * 2


def test_a_scale_below_zero() -> None:
    made, expected = column(128, 20, -3, [-7, 2**53 + 1, 5])
    assert nearest(made).tolist() == expected == [-7000.0, float((2**53 + 1) * 1000), 5000.0]
    made, expected = column(256, 76, -30, [-7, 3**60, 2**53 + 1])
    assert nearest(made).tolist() == expected


@pytest.mark.parametrize("scale", [0, 1, 5, 18, 21])
def test_halfway_between_two_floats_and_beside_it(scale: int) -> None:
    """A tie goes to the even one, and one more or less in the last of 38 digits is no tie."""
    ties = [(2**53 + odd) * 10**scale for odd in (1, 3, 5)]
    wholes = [sign * (tie + step) for tie in ties for step in (-1, 0, 1) for sign in (1, -1)]
    made, expected = column(128, 38, scale, wholes)
    assert nearest(made).tolist() == expected
