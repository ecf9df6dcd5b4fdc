"""Standardize: from sums to a problem in standard deviations."""

import numpy as np
from numpy.typing import NDArray

from gdpipe import fit as core
from gdpipe.config import TrainingConfig
from gdpipe.design import Design
from gdpipe.errors import DataError
from gdpipe.numerics.problem.regression import Regression
from gdpipe.printable import counted, logger_named
from gdpipe.relations import describe
from gdpipe.source.source import Source
from gdpipe.stages.ingest import Ingested

logger = logger_named(__name__)


def standardize(config: TrainingConfig, ingested: Ingested) -> Regression:
    """Scale the features, and find those that depend on others.

    Raises:
        DataError: The target is constant, or `collinear` is `fail` and a feature is constant or dependent.
    """
    columns, where = ingested.columns, ingested.source.location
    resolution = resolution_of(columns.design, ingested.source)
    try:
        regression = core.standardize(ingested.moments, columns.design, config, resolution)
    except DataError as error:
        raise DataError(f"{where}: {error}") from error
    cross = regression.cross
    if not cross.variances()[-1]:
        value = float(cross.means()[-1])
        raise DataError(
            f"{where}: target {columns.target!r} is {value:g} in all {counted(ingested.rows.used, 'row')} used; "
            "there is nothing to explain"
        )
    for line in describe(regression, columns.design):
        logger.info("dependent features: %s", line)
    return regression


def resolution_of(design: Design, source: Source) -> NDArray[np.float64]:
    """The relative rounding of each term's values, shape (p,)."""
    return design.resolution(dict(zip(design.columns, source.resolution(design.columns).tolist(), strict=True)))
