"""Exact sums as a table, and back, without loss: integers of any length are written as decimal text."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from gdpipe.errors import DataError
from gdpipe.numerics.sums.moments import Moments
from gdpipe.source.arrays import to_arrow, values_of

SCHEMA = pa.schema(
    [
        pa.field("first", pa.string(), metadata={"meaning": "column; null in the row of the weights' sum"}),
        pa.field("second", pa.string(), metadata={"meaning": "column; null in the row of a column's own sum"}),
        pa.field("value", pa.string(), metadata={"meaning": "an integer in decimal, to be multiplied by 2^exponent"}),
        pa.field("exponent", pa.int64(), metadata={"meaning": "power of two"}),
    ]
)
_N_SAMPLES = b"gdpipe.n_samples"


def to_table(moments: Moments, columns: Sequence[str]) -> pa.Table:
    """One row a sum: of the weights, of each column, of the product of each pair (i <= j).

    Args:
        moments: The sums.
        columns: Their names, shape (k,).
    """
    weight_exponent, exponents = moments.weight_exponent, moments.exponents.tolist()
    rows: list[tuple[str | None, str | None, int, int]] = [(None, None, moments.weight, weight_exponent)]
    for i, name in enumerate(columns):
        rows.append((name, None, moments.sums[i], weight_exponent + exponents[i]))
    for i, name in enumerate(columns):
        for j in range(i, len(columns)):
            rows.append((name, columns[j], moments.products[i, j], weight_exponent + exponents[i] + exponents[j]))
    first, second, values, powers = zip(*rows, strict=True)
    columns_of_table = zip([list(first), list(second), list(values), list(powers)], SCHEMA.types, strict=True)
    table = pa.Table.from_arrays([to_arrow(column, kind) for column, kind in columns_of_table], schema=SCHEMA)
    return table.replace_schema_metadata({_N_SAMPLES: str(moments.n_samples)})


def from_table(table: pa.Table, columns: Sequence[str]) -> Moments:
    """The sums that `to_table` wrote.

    Args:
        table: Such a table.
        columns: The names it was written with, in the same order.

    Raises:
        DataError: The table holds other columns, or is damaged.
    """
    k = len(columns)
    pairs: list[tuple[str | None, str | None]] = [(None, None), *((c, None) for c in columns)]
    pairs += [(columns[i], columns[j]) for i in range(k) for j in range(i, k)]
    metadata = table.schema.metadata or {}
    if list(zip(table["first"].to_pylist(), table["second"].to_pylist(), strict=True)) != pairs:
        raise DataError(f"kept sums are of other columns than {', '.join(columns)}; remove them")
    try:
        values = [int(text) for text in table["value"].to_pylist()]
        n_samples = int(metadata[_N_SAMPLES])
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"kept sums are damaged ({error}); remove them") from error
    if table["exponent"].type != pa.int64() or table["exponent"].null_count:
        raise DataError("kept sums are damaged (an exponent is missing); remove them")
    powers = values_of(table["exponent"].combine_chunks())
    products = np.full((k, k), 0, object)
    upper = np.triu_indices(k)
    products[upper] = values[1 + k :]
    products.T[upper] = values[1 + k :]
    exponents = powers[1 : 1 + k] - powers[0]
    if (powers[1 + k :] != powers[0] + exponents[upper[0]] + exponents[upper[1]]).any():
        raise DataError("kept sums are damaged (their exponents do not belong together); remove them")
    return Moments(n_samples, values[0], np.array(values[1 : 1 + k], object), products, exponents, int(powers[0]))
