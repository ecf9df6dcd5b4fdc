"""Standardize: from sums to a problem in standard deviations."""

from dataclasses import dataclass

from gdpipe.config import TrainingConfig
from gdpipe.errors import DataError
from gdpipe.numerics.descent.agreement import Agreement
from gdpipe.numerics.problem.covariance import CrossProducts
from gdpipe.numerics.problem.dependencies import Dependencies
from gdpipe.numerics.problem.objective import LeastSquares
from gdpipe.numerics.problem.regression import Regression
from gdpipe.numerics.problem.relations import Relation
from gdpipe.numerics.problem.scaling import LARGEST_SCALE, Scaling
from gdpipe.printable import logger_named
from gdpipe.report.relations import describe
from gdpipe.stages.columns import Columns
from gdpipe.stages.ingest import Ingested

logger = logger_named(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Standardized:
    """The problem to descend on, and the way back.

    Attributes:
        scaling: Of all features.
        dependencies: Among all features.
        described: The dependencies in the user's words, one line each.
        kept: Indices of the features that take part in the fit.
        cross: Covariances of the kept features and the target.
        kept_scaling: Of the kept features.
        relations: Among the kept features.
        problem: The loss as a function of the kept features' standardized coefficients.
    """

    scaling: Scaling
    dependencies: Dependencies
    described: tuple[str, ...]
    kept: list[int]
    cross: CrossProducts
    kept_scaling: Scaling
    relations: tuple[Relation, ...]
    problem: LeastSquares

    @property
    def independent(self) -> list[int]:
        """Among the kept features, those without a relation between them."""
        return [i for i, j in enumerate(self.kept) if j not in self.dependencies.redundant]

    @property
    def identified(self) -> list[int]:
        """Among the kept features, those that take part in no relation at all."""
        related = {i for relation in self.relations for i in relation.features}
        return [i for i in range(len(self.kept)) if i not in related]

    @property
    def intercept_identified(self) -> bool:
        """Whether the intercept is the same whichever of the dependent features carries the weight."""
        return not any(relation.constant for relation in self.relations)

    def agreement(self, total_weight: float | None = None) -> Agreement | None:
        """What the terms will be held to; `total_weight` where more rows will be read than these."""
        cross = self.cross
        weight = cross.total_weight if total_weight is None else total_weight
        return Agreement.foreseen(self.problem, self.kept_scaling, self.relations, weight, centred=cross.centred)


def standardize(config: TrainingConfig, ingested: Ingested) -> Standardized:
    """Scale the features, and find those that depend on others.

    Raises:
        DataError: The target is constant, or `collinear` is `fail` and a feature is constant or dependent.
    """
    columns, where = ingested.columns, ingested.source.location
    cross = CrossProducts.of(ingested.moments, centred=config.fit_intercept)
    scaling = Scaling.of(cross)
    if not cross.variances()[-1]:
        value = float(cross.means()[-1])
        raise DataError(
            f"{where}: target {columns.target!r} is {value:g} in all {ingested.rows.used:,} rows used; "
            "there is nothing to explain"
        )
    _check_scales(where, columns, scaling)
    resolution = ingested.source.resolution(columns.features)
    regression = Regression.of(cross, scaling, resolution, drop=config.collinear == "drop")
    found = regression.dependencies
    described = describe(found, cross, columns.features)
    for line in described:
        logger.info("dependent features: %s", line)
    if described and config.collinear == "fail":
        raise DataError(
            f"{where}: {'; '.join(described)}; leave such features out, or set collinear to min_norm or drop"
        )
    return Standardized(
        scaling,
        found,
        described,
        regression.kept,
        regression.cross,
        regression.scaling,
        regression.relations,
        regression.problem,
    )


def _check_scales(where: str, columns: Columns, scaling: Scaling) -> None:
    for name, scale in zip(columns.fitted, [*scaling.scales.tolist(), scaling.target_scale], strict=False):
        if not 1 / LARGEST_SCALE <= scale <= LARGEST_SCALE:
            raise DataError(
                f"{where}: column {name!r} has a standard deviation of {scale:g}, and gdpipe computes with "
                f"{1 / LARGEST_SCALE:g} to {LARGEST_SCALE:g}; use another unit"
            )
