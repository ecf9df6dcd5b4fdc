"""The run that is published now: the one that a new fit is compared with."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from gdpipe.errors import PublishError
from gdpipe.numerics.drift import Fitted
from gdpipe.tables import catalog
from gdpipe.tables.files import is_transient
from gdpipe.tables.store import find_latest, place_at, read_manifest


@dataclass(frozen=True, slots=True)
class Term:
    """One line of a fit: a feature may be called like the target or the intercept of another run.

    Attributes:
        role: intercept, feature or target.
        name: The column's.
    """

    role: str
    name: str


@dataclass(frozen=True, slots=True, eq=False)
class PublishedFit:
    """A fit as its tables tell it; made alike from a run that is on disk and from one about to be.

    Attributes:
        run_id: The run's name.
        fit_intercept: Whether it has an intercept.
        terms: The intercept if there is one, the features, the target; shape (k,).
        fitted: Their numbers, in that order.
        r2: Share of the target's variance explained.
        rmse: In target units.
    """

    run_id: str
    fit_intercept: bool
    terms: tuple[Term, ...]
    fitted: Fitted
    r2: float
    rmse: float

    @classmethod
    def of(
        cls, run_id: str, target: str, parameters: pa.Table, metrics: pa.Table, *, fit_intercept: bool
    ) -> "PublishedFit":
        """From the two tables; KeyError, TypeError or ValueError where they are not such tables."""
        rows, quality = parameters.to_pylist(), metrics.to_pylist()[0]
        roles = ["intercept" if fit_intercept else "feature", *["feature"] * (len(rows) - 1), "target"]
        # a constant is published with a scale of 1, to divide by; without an intercept no mean is taken out
        scales = [0.0 if row["status"] == "constant" else row["scale"] for row in rows]
        means = [*(row["mean"] for row in rows), quality["target_mean"]]
        fitted = Fitted(
            n=float(quality["total_weight"]),
            mean=np.array(means, float) if fit_intercept else np.full(len(means), np.nan),
            scale=np.array([*scales, quality["target_scale"]], float),
            estimate=np.array([*(row["estimate"] for row in rows), np.nan], float),
            std_error=np.array([*(row["std_error"] for row in rows), np.nan], float),
        )
        if not np.isfinite(fitted.estimate[:-1]).all():
            raise ValueError("an estimate is missing")
        terms = tuple(map(Term, roles, [*(str(row["term"]) for row in rows), target]))
        return cls(run_id, fit_intercept, terms, fitted, float(quality["r2"]), float(quality["rmse"]))

    @property
    def target(self) -> str:
        """The target's name."""
        return self.terms[-1].name

    @property
    def intercept(self) -> float:
        """In target units; 0 without one."""
        return float(self.fitted.estimate[0]) if self.fit_intercept else 0.0

    @property
    def coef(self) -> dict[str, float]:
        """The features that matter: name and coefficient, those of 0 left out."""
        pairs = zip(self.terms, self.fitted.estimate.tolist(), strict=True)
        return {term.name: estimate for term, estimate in pairs if term.role == "feature" and estimate}


def latest_fit(output: str) -> PublishedFit | None:
    """The fit that `latest.json` names; None where nothing has been published yet.

    Raises:
        PublishError: It is damaged, has just been removed, or is not a training run.
    """
    folder = find_latest(place_at(output))
    if folder is None:
        return None
    manifest = read_manifest(folder)
    if manifest["kind"] != "training":
        raise PublishError(f"{folder} holds {manifest['kind']}, not a fit")
    try:
        parameters, metrics = (
            pq.ParquetFile(folder.open(f"{name}.parquet"), page_checksum_verification=True).read()
            for name in (catalog.PARAMETERS, catalog.METRICS)
        )
        return PublishedFit.of(
            str(manifest["run_id"]),
            str(manifest["target"]),
            parameters,
            metrics,
            fit_intercept=bool(manifest["settings"]["fit_intercept"]),
        )
    except (pa.ArrowException, OSError, KeyError, TypeError, ValueError, IndexError) as error:
        transient = isinstance(error, OSError) and is_transient(error)
        raise PublishError(f"{folder} cannot be read ({error})", transient=transient) from error
