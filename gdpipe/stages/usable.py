"""Whether the rows of a source can be fitted: checks of their sums, and notices about them."""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gdpipe.config import TrainingConfig
from gdpipe.design import Number
from gdpipe.errors import DataError
from gdpipe.numerics.problem.covariance import LARGEST_SCALE
from gdpipe.numerics.sums.float_moments import why_beyond_float64
from gdpipe.printable import counted
from gdpipe.source.source import Source
from gdpipe.stages.columns import Columns
from gdpipe.stages.scan.row_sums import Sums, by_column

# largest ratio of two weights; with a larger one the smaller weights lose digits on the common grid
WEIGHT_RANGE = 1e9


def check_rows(config: TrainingConfig, columns: Columns, source: Source, sums: Sums) -> None:
    """Check that there are rows to fit, and none that `null_policy` forbids.

    Raises:
        DataError: There are none, or a value is missing where `null_policy` is `fail`.
    """
    if not sums.account.read:
        found = f"filters {config.filters!r} match nothing" if config.filters else "the files hold no row"
        raise DataError(f"{source.location}: {found}")
    if config.null_policy == "fail" and sums.first_missing is not None:
        first = sums.first_missing
        count = by_column([of.column for of in columns.asked], sums.account.missing)[first.column]
        raise DataError(
            f"{first.path}: column {first.column!r} is null or NaN in {counted(count, 'row')}, first in row {first.row}"
            "; null_policy='drop' leaves such rows out"
        )
    if not sums.moments.n_samples and sums.account.held_out:
        raise DataError(
            f"{source.location}: holdout {config.holdout!r} matches every row that can be used "
            f"({counted(sums.account.held_out, 'row')}); hold fewer out, so that some are left to fit"
        )
    if not sums.moments.n_samples:
        missing = by_column([of.column for of in columns.asked], sums.account.missing)
        gaps = ", ".join(f"{name} {count:,}" for name, count in missing.items())
        reason = (
            f"all weights are zero or rows incomplete ({gaps or 'no nulls'})" if columns.weight else f"null in: {gaps}"
        )
        raise DataError(f"{source.location}: none of {counted(sums.account.read, 'row')} can be used; {reason}")


def check_products(columns: Columns, source: Source, largest: NDArray[np.float64]) -> None:
    """Check that float64 holds the products of weights and values, for sums in float64.

    Args:
        columns: The columns, among them the weights.
        source: The source.
        largest: The largest magnitude of each of `columns.summed`, shape (k,).

    Raises:
        DataError: It does not.
    """
    if reason := why_beyond_float64(columns.summed, largest[:-1], float(largest[-1])):
        raise DataError(f"{source.location}: {reason}")


def check_weights(name: str, source: Source, sums: Sums) -> tuple[str, ...]:
    """Notices about the weights, after a check that the least has enough digits on the weights' common grid.

    Raises:
        DataError: The weights are too far apart, too large or too small.
    """
    largest = float(sums.largest[-1])
    if not 1 / LARGEST_SCALE <= largest <= LARGEST_SCALE or largest > sums.least_weight * WEIGHT_RANGE:
        raise DataError(
            f"{source.location}: weight column {name!r} ranges from {sums.least_weight:g} to {largest:g}; "
            f"weights must lie within a factor of {WEIGHT_RANGE:g} of each other, and of 1e-150 and 1e150; rescale them"
        )
    if sums.whole_weights:
        return ()
    return (f"weights are not whole numbers: standard errors take them as counts of rows all the same ({name})",)


def notices_of_rounding(columns: Columns, source: Source, largest: NDArray[np.float64]) -> tuple[str, ...]:
    """A notice about columns of integers that float64 does not hold; arguments as in `check_products`."""
    plain = [factors[0].input.column if _is_column(factors) else None for factors in columns.design.numbers]
    names = [*plain, columns.target, *([columns.weight] if columns.weight else [])]
    beyond = [
        name
        for name, size in zip(names, largest.tolist(), strict=True)
        if name and size > 2**53 and pa.types.is_integer(source.schema.field(name).type)
    ]
    return (f"integers beyond 2^53 are rounded to float64: {', '.join(beyond)}",) if beyond else ()


def _is_column(factors: tuple[Number, ...]) -> bool:
    """Whether a product of numbers is a column as it is."""
    return len(factors) == 1 and not (factors[0].functions or factors[0].input.part)
