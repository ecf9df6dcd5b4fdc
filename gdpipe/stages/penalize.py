"""Penalize: the path of the penalty, and the alpha that is taken."""

from dataclasses import dataclass, replace

from gdpipe.config import TrainingConfig
from gdpipe.errors import DataError
from gdpipe.numerics.problem.regression import Regression
from gdpipe.penalty_path import PenaltyPath, penalty_path
from gdpipe.printable import logger_named
from gdpipe.stages.ingest import Ingested
from gdpipe.stages.standardize import resolution_of

logger = logger_named(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Penalized:
    """The problem with its penalty.

    Attributes:
        regression: The problem; the same as before where there is no penalty.
        path: The optima of other alphas; None where there is no penalty.
    """

    regression: Regression
    path: PenaltyPath | None


def penalize(config: TrainingConfig, ingested: Ingested, regression: Regression) -> Penalized:
    """The problem with the penalty that the settings ask for, or that has the least error on unseen rows.

    Raises:
        DataError: `alpha` is to be chosen, and there are no errors on unseen rows to choose by.
    """
    if config.penalty == "none":
        return Penalized(regression, None)
    design, source = ingested.columns.design, ingested.source
    path = penalty_path(regression, ingested.by_fold, design, config, resolution_of(design, source))
    if path.penalty is None:
        raise DataError(f"{source.location}: {path.refusal(config)}")
    logger.info(
        "penalty: %s, alpha %.6g; its path has %d alphas", config.penalty, path.penalty.alpha, len(path.optima.alphas)
    )
    return Penalized(replace(regression, penalty=path.penalty), path)
