"""Tables in memory: the same numbers from every library, and one line where there are none."""

import datetime
import math
import re
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from gdpipe.design import Design, Input
from gdpipe.errors import SchemaError
from gdpipe.source.columns import read_columns
from gdpipe.store.frames import columns_for

NAN = math.nan


def column(frame: Any, name: str = "x") -> list[float]:
    """The numbers of a column, NaN where one is missing."""
    block = read_columns(columns_for(Design.of_numbers([name]), frame), [Input(name)])
    missing = [False] * len(block.numbers[0]) if block.missing is None else block.missing[0]
    return [NAN if gap else value for value, gap in zip(block.numbers[0].tolist(), missing, strict=True)]


def pandas(values: Any, dtype: Any = None) -> pd.DataFrame:
    return pd.DataFrame({"x": pd.Series(values, dtype=dtype), "other": "text"})


def chunked(*chunks: pa.Array) -> pa.Table:
    return pa.table({"x": pa.chunked_array(list(chunks))})


NUMBERS: dict[str, tuple[Callable[[], Any], list[float]]] = {
    "object, one None": (lambda: pandas([1, None, 2.5], object), [1.0, NAN, 2.5]),
    "object, NaN and NA": (lambda: pandas([1, math.nan, pd.NA, None], object), [1.0, NAN, NAN, NAN]),
    "object, nothing but None": (lambda: pandas([None, None], object), [NAN, NAN]),
    "object, integers and floats of NumPy": (lambda: pandas([np.float32(0.5), 0.1, np.int8(3)], object), [0.5, 0.1, 3]),
    "object, decimals": (lambda: pandas([Decimal("0.1"), None, Decimal("1e30")], object), [0.1, NAN, 1e30]),
    "object, booleans": (lambda: pandas([True, None], object), [1.0, NAN]),
    "Int64": (lambda: pandas([2**53 + 1, None], "Int64"), [float(2**53 + 1), NAN]),
    "Float64": (lambda: pandas([0.1, None], "Float64"), [0.1, NAN]),
    "boolean": (lambda: pandas([True, None, False], "boolean"), [1.0, NAN, 0.0]),
    "uint64": (lambda: pandas([2**64 - 1, 1], "uint64"), [2.0**64, 1.0]),
    "float16": (lambda: pandas([0.1, NAN], "float16"), [float(np.float16(0.1)), NAN]),
    "categories": (lambda: pandas([3, 1, None, 3], "category"), [3.0, 1.0, NAN, 3.0]),
    "categories, none": (lambda: pandas([None, None], "category"), [NAN, NAN]),
    "categories of decimals": (lambda: pandas([Decimal("0.1")], "category"), [0.1]),
    "pyarrow integers": (lambda: pandas([1, None], "int8[pyarrow]"), [1.0, NAN]),
    "pyarrow decimals": (lambda: pandas([Decimal("0.10")], pd.ArrowDtype(pa.decimal256(60, 2))), [0.1]),
    "pyarrow nulls": (lambda: pandas([None], pd.ArrowDtype(pa.null())), [NAN]),
    "no rows": (lambda: pandas([], "float64"), []),
    "no rows, object": (lambda: pandas([], object), []),
    "every second row": (lambda: pandas([1.0, 2.0, 3.0]).iloc[::-2], [3.0, 1.0]),
    "other columns that nobody can use": (lambda: pandas([1.0, 2.0]).assign(other=[1j, "a"]), [1.0, 2.0]),
    "a column of a wider name": (lambda: pandas([1.0]).rename(columns={"other": ("x", 1)}), [1.0]),
    "Polars": (lambda: pl.DataFrame({"x": [1.5, None, NAN]}), [1.5, NAN, NAN]),
    "Polars decimals": (lambda: pl.DataFrame({"x": [Decimal("0.1"), None]}), [0.1, NAN]),
    "Polars booleans": (lambda: pl.DataFrame({"x": [True, None]}), [1.0, NAN]),
    "Polars nulls": (lambda: pl.DataFrame({"x": [None, None]}), [NAN, NAN]),
    "Polars chunks": (lambda: pl.concat([pl.DataFrame({"x": [i]}) for i in range(3)], rechunk=False), [0.0, 1.0, 2.0]),
    "Polars, no rows": (lambda: pl.DataFrame({"x": []}, {"x": pl.UInt8}), []),
    "Polars, beside Int128": (lambda: pl.DataFrame({"x": [1], "i": pl.Series([1], dtype=pl.Int128)}), [1.0]),
    "Polars, beside objects": (lambda: pl.DataFrame({"x": [1], "o": pl.Series([object()], dtype=pl.Object)}), [1.0]),
    "DuckDB": (lambda: duckdb.sql("SELECT 0.1::decimal(9, 3) AS x UNION ALL SELECT NULL"), [0.1, NAN]),
    "Arrow table": (lambda: pa.table({"x": [1, None]}), [1.0, NAN]),
    "Arrow record batch": (lambda: pa.record_batch({"x": [1, None]}), [1.0, NAN]),
    "Arrow reader": (lambda: pa.table({"x": [1, None]}).to_reader(), [1.0, NAN]),
    "Arrow, sliced": (lambda: pa.table({"x": [None, 1.0, NAN, 2.0]}).slice(1), [1.0, NAN, 2.0]),
    "Arrow, chunks, sliced": (
        lambda: chunked(pa.array([True, None]), pa.array([], pa.bool_()), pa.array([False])).slice(1),
        [NAN, 0.0],
    ),
    "Arrow, no chunk": (lambda: pa.schema({"x": pa.decimal128(5, 1)}).empty_table(), []),
    "Arrow, dictionaries that differ": (
        lambda: chunked(pa.array([5.0, None]).dictionary_encode(), pa.array([7.0]).dictionary_encode()),
        [5.0, NAN, 7.0],
    ),
    "Arrow, nulls": (lambda: pa.table({"x": pa.nulls(2)}), [NAN, NAN]),
    "Arrow, float16": (lambda: pa.table({"x": pa.array([0.5, None], pa.float16())}), [0.5, NAN]),
    "dict": (lambda: {"x": np.array([1.5, 2.0]), "other": 3}, [1.5, 2.0]),
    "dict of lists": (lambda: {"x": [1, None, 2.5]}, [1.0, NAN, 2.5]),
    "dict of columns of Polars": (lambda: {"x": pl.Series([1, None])}, [1.0, NAN]),
    "dict of columns of pandas": (lambda: {"x": pd.Series([1, None], index=[5, 6])}, [1.0, NAN]),
    "dict of columns of Arrow": (lambda: {"x": pa.chunked_array([[1], [None]])}, [1.0, NAN]),
}


@pytest.mark.parametrize("kind", NUMBERS)
def test_numbers_of_every_library(kind: str) -> None:
    make, expected = NUMBERS[kind]
    np.testing.assert_array_equal(column(make()), expected)


X = [1.0, 2.0]
REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "text": (lambda: pandas(["1.5", "2"]), "column 'x' is large_string"),
    "text and numbers": (lambda: pandas([1, "a"]), "column 'x' (object) cannot be read: "),
    "booleans and numbers": (lambda: pandas([True, 2.5]), "column 'x' (object)"),
    "decimals and floats": (lambda: pandas([Decimal(1), 2.5]), "column 'x' (object)"),
    "an infinite decimal": (lambda: pandas([Decimal("Infinity"), Decimal(1)]), "column 'x' (object)"),
    "a long decimal": (lambda: pandas([Decimal(10) ** 90]), "column 'x' (object)"),
    "fractions": (lambda: pandas([Fraction(1, 3)]), "column 'x' (object)"),
    "complex": (lambda: pandas(np.array(X) + 1j), "column 'x' (complex128)"),
    "sparse": (lambda: pandas(pd.arrays.SparseArray(X)), "column 'x' (Sparse[float64, nan])"),
    "longdouble": (lambda: pandas(np.array(X, np.longdouble)), f"column 'x' ({np.dtype(np.longdouble)})"),
    "bytes the other way round": (lambda: pandas(np.array(X, ">f8")), "column 'x' (>f8)"),
    "integers beyond int64": (lambda: pandas([2**70]), "column 'x' (object)"),
    "dates": (lambda: pandas([datetime.date(2020, 1, 1)]), "column 'x' is date32"),
    "times": (lambda: pandas(pd.to_datetime(["2020-01-01"])), "column 'x' is timestamp"),
    "NaT alone": (lambda: pandas(np.array(["NaT"], "datetime64[ns]")), "column 'x' is timestamp"),
    "durations": (lambda: pandas(pd.to_timedelta([1])), "column 'x' is duration"),
    "periods": (lambda: pandas(pd.period_range("2020", periods=1)), "column 'x' is extension<pandas.period"),
    "lists": (lambda: pandas([[1.0]]), "column 'x' is list"),
    "categories of text": (lambda: pandas(["a"], "category"), "column 'x' is a category of large_string"),
    "a name twice": (lambda: pd.concat([pandas(X)] * 2, axis=1), "the table has 2 columns 'x'"),
    "a name twice in Arrow": (lambda: pa.Table.from_arrays([pa.array(X)] * 2, ["x", "x"]), "2 columns 'x'"),
    "no such column": (lambda: pandas(X).rename(columns={"x": "X"}), "no column 'x'; the model needs x"),
    "Polars text": (lambda: pl.DataFrame({"x": ["a"]}), "column 'x' is string; the model needs numbers"),
    "Polars Int128": (lambda: pl.DataFrame({"x": pl.Series([1], dtype=pl.Int128)}), "column 'x' (Int128)"),
    "Polars objects": (lambda: pl.DataFrame({"x": pl.Series([object()], dtype=pl.Object)}), "column 'x' is fixed_size"),
    "a LazyFrame": (lambda: pl.LazyFrame({"x": X}), "collect()"),
    "a column": (lambda: pd.Series(X, name="x"), "the Series cannot be read as an Arrow table"),
    "an array": (lambda: np.ones((2, 1)), "a ndarray is no table with named columns"),
    "a list": (lambda: [{"x": 1.0}], "a list is no table with named columns"),
    "nothing": (lambda: None, "a NoneType is no table"),
    "a dict of numbers": (lambda: {"x": 1.0}, "column 'x' (float)"),
    "a dict of text": (lambda: {"x": "12"}, "column 'x' is one text; give a value for each row"),
    "a dict of matrices": (lambda: {"x": np.ones((2, 2))}, "column 'x' (float64)"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_no_number_is_one_line(kind: str) -> None:
    make, says = REFUSED[kind]
    with pytest.raises(SchemaError, match=re.escape(says)) as caught:
        column(make())
    assert "\n" not in str(caught.value)


def test_arrays_of_different_length() -> None:
    with pytest.raises(SchemaError, match=r"different numbers of rows \('x' 2, 'z' 1\)"):
        columns_for(Design.of_numbers(["x", "z"]), {"x": X, "z": [1.0]})


def test_names_that_are_not_text_are_those_that_pandas_writes() -> None:
    names = [0, 1.5, ("a", 2), b"b", datetime.date(2020, 1, 1), None, True]
    frame = pd.DataFrame([[float(i) for i in range(len(names))]])
    frame.columns = pd.Index(names, tupleize_cols=False)
    written = pa.Table.from_pandas(frame, preserve_index=False).column_names
    for position, name in enumerate(written):
        assert column(frame, name) == [float(position)]
    with pytest.raises(SchemaError, match="2 columns '0'"):
        column(pd.DataFrame([[1.0, 2.0]], columns=pd.Index([0, "0"], dtype=object)), "0")
