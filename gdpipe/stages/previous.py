"""The previous run, published before, with which a new fit is compared."""

import functools
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from gdpipe.config import TrainingConfig
from gdpipe.design import Design, design_from_manifest
from gdpipe.errors import PublishError
from gdpipe.filters import Filters, filter_groups
from gdpipe.numerics.inference.drift import Fitted
from gdpipe.source.files import first_line
from gdpipe.source.listing import Listing, find_files
from gdpipe.source.source import Source
from gdpipe.stages.errors_compared import Error, ErrorKind, errors_of
from gdpipe.stages.other_levels import reference_of
from gdpipe.store import catalog
from gdpipe.store.artifacts import read_artifact
from gdpipe.store.place import Place
from gdpipe.store.runs import find_latest, place_at, read_manifest

# characters; all of them are in that run's manifest
LONGEST_FILTERS = 200


class Start:
    """The previous run and the source, as a run finds them when it starts; each is looked up once, for all stages.

    A look raises PublishError where `latest.json` or the manifest is damaged or cannot be read (the next look reads it
    again), and DataError where the source is not there or cannot be read.
    """

    def __init__(self, config: TrainingConfig) -> None:
        self._config = config

    @functools.cached_property
    def previous(self) -> Place | None:
        """The folder of the previous run; None where nothing has been published yet."""
        return find_latest(place_at(self._config.output))

    @functools.cached_property
    def manifest(self) -> dict[str, Any] | None:
        """The manifest of the previous run; None where there is none."""
        return None if self.previous is None else read_manifest(self.previous)

    @property
    def has_previous(self) -> bool:
        """Whether `latest.json` was read, and names a run."""
        return bool(self.__dict__.get("previous"))

    @functools.cached_property
    def listing(self) -> Listing:
        """The files of the source, not opened."""
        return find_files(self._config.source)

    @functools.cached_property
    def source(self) -> Source:
        """The source, opened."""
        return Source.open(self._config.source, self._config.filters, self.listing)

    def take_source(self) -> Source:
        """The source, opened, for the stage that reads it; a retry of the stage opens it again.

        Raises:
            DataError: It cannot be read.
        """
        try:
            return self.source
        finally:
            self.__dict__.pop("listing", None)
            self.__dict__.pop("source", None)


@dataclass(frozen=True, slots=True)
class Term:
    """A term with its role, since a feature may have the name of the target or intercept of another run."""

    role: str  # intercept, feature, reference (the level of a category that has no term) or target
    name: str

    @property
    def key(self) -> tuple[str, str]:
        """What finds the same column in another fit: a level may be the reference there."""
        return "feature" if self.role == "reference" else self.role, self.name


@dataclass(frozen=True, slots=True, eq=False)
class PublishedFit:
    """A fit, read from the tables of a run that is published or about to be.

    Attributes:
        run_id: The run's name.
        fit_intercept: Whether the fit has an intercept.
        terms: The intercept if there is one, the terms, the references of categories, the target; shape (k,).
        fitted: The numbers of the terms, in that order.
        r2: Share of the target's variance explained.
        rmse: Root mean squared error, in target units.
        errors: R² and RMSE by the rows they are of: `fit`; `cv` and `holdout` where the run has them.
        filters: The filters of its rows, in JSON's types; None where there were none.
        weight: The column of its weights; None where there was none.
        penalty: Its penalty as the settings gave it, in words; `none` where there was none.
        design: Its features and their levels.
    """

    run_id: str
    fit_intercept: bool
    terms: tuple[Term, ...]
    fitted: Fitted
    r2: float
    rmse: float
    errors: Mapping[ErrorKind, Error]
    filters: Filters | None
    weight: str | None
    penalty: str
    design: Design

    @classmethod
    def of(
        cls,
        run_id: str,
        target: str,
        parameters: pa.Table,
        metrics: pa.Table,
        settings: Mapping[str, Any],
        design: Design,
    ) -> "PublishedFit":
        """The fit in two tables, and the settings and the design of a manifest.

        Raises:
            KeyError, TypeError, ValueError, IndexError: The tables or settings are damaged.
        """
        fit_intercept, filters = bool(settings["fit_intercept"]), settings["filters"]
        _conditions(filters)
        rows, quality = parameters.to_pylist(), metrics.to_pylist()[0]
        roles = ["intercept" if fit_intercept else "feature", *["feature"] * (len(rows) - 1), "target"]
        # the scale of a constant is 1 in the table, to divide by; without an intercept means are not subtracted
        scales = [0.0 if row["status"] == "constant" else row["scale"] for row in rows]
        means = [*(row["mean"] for row in rows), quality["target_mean"]]
        names = [*(str(row["term"]) for row in rows), target]
        if names[int(fit_intercept) : -1] != list(design.names):
            raise ValueError("its terms are not those of its features")
        estimates = np.array([row["estimate"] for row in rows], float)
        if not np.isfinite(estimates).all():
            raise ValueError("an estimate is missing")
        shares = _reference_shares(design, means[1:-1]) if fit_intercept else {}
        none = np.full(len(shares) + 1, np.nan)  # neither a reference nor the target has a coefficient
        for place, (name, share) in enumerate(shares.items(), len(rows)):
            roles.insert(place, "reference")
            names.insert(place, name)
            means.insert(place, share)
            scales.insert(place, math.sqrt(share * (1 - share)))
        fitted = Fitted(
            n=float(quality["total_weight"]),
            mean=np.array(means, float) if fit_intercept else np.full(len(means), np.nan),
            scale=np.array([*scales, quality["target_scale"]], float),
            estimate=np.array([*estimates, *none]),
            std_error=np.array([*(row["std_error"] for row in rows), *none], float),
        )
        terms = tuple(map(Term, roles, names))
        errors = errors_of(quality)
        of_fit = errors["fit"]
        return cls(
            run_id,
            fit_intercept,
            terms,
            fitted,
            of_fit.r2,
            of_fit.rmse,
            errors,
            filters=filters,
            weight=settings["weight"],
            penalty=_penalty(settings),
            design=design,
        )

    @property
    def target(self) -> str:
        """The target's name."""
        return self.terms[-1].name

    @property
    def intercept(self) -> float:
        """The intercept in target units; 0 where there is none."""
        return float(self.fitted.estimate[0]) if self.fit_intercept else 0.0

    @property
    def coef(self) -> dict[str, float]:
        """The coefficients other than 0, by feature."""
        pairs = zip(self.terms, self.fitted.estimate.tolist(), strict=True)
        return {term.name: estimate for term, estimate in pairs if term.role == "feature" and estimate}

    def differences(self, other: "PublishedFit") -> tuple[str, ...]:
        """Differences of rows or weights from another run, one line each, about this run's."""
        lines = []
        if _conditions(self.filters) != _conditions(other.filters):
            text = "no filters" if self.filters is None else f"filters {json.dumps(self.filters)}"
            lines.append(f"other rows: {text if len(text) <= LONGEST_FILTERS else f'{text[:LONGEST_FILTERS]}…'}")
        if self.weight != other.weight:
            lines.append(f"other weights: {'none' if self.weight is None else f'column {self.weight!r}'}")
        if self.penalty != other.penalty:
            lines.append(f"another penalty: {self.penalty}")
        return tuple(lines)


def _penalty(settings: Mapping[str, Any]) -> str:
    name = settings.get("penalty", "none")  # earlier versions have none
    ratio = f", l1_ratio {settings['l1_ratio']}" if name == "elastic_net" else ""
    return str(name) if name == "none" else f"{name}, alpha {settings['alpha']}{ratio}"


def _reference_shares(design: Design, means: Sequence[float]) -> dict[str, float]:
    """The share of rows of each category's reference, by its name as a term would have it: what others leave of 1."""
    found = {}
    for place, of_feature in enumerate(design.slices):
        label = reference_of(design, place)
        if label is not None:
            left = 1.0 - math.fsum(means[of_feature])
            found[f"{design.features[place].name}[{label}]"] = min(max(left, 0.0), 1.0)
    return found


def _conditions(filters: Filters | None) -> frozenset[Any]:
    """Filters as sets, which are equal despite another order or nesting of conditions, or = for ==."""
    return frozenset(
        frozenset((column, operator.replace("==", "="), _comparable(value)) for column, operator, value in group)
        for group in ([] if filters is None else filter_groups(filters))
    )


def _comparable(value: Any) -> Any:
    if isinstance(value, list):
        return frozenset(map(_comparable, value))
    return json.dumps(value) if isinstance(value, dict) else value


def latest_fit(start: Start) -> PublishedFit | None:
    """The fit of the previous run; None where there is none.

    Raises:
        PublishError: The run is damaged, was just removed, or is not a training run.
    """
    folder, manifest = start.previous, start.manifest
    if folder is None or manifest is None:
        return None
    if manifest["kind"] != "training":
        raise PublishError(f"{folder} holds {manifest['kind']}, not a fit")
    parameters, metrics = (read_artifact(folder, f"{name}.parquet") for name in (catalog.PARAMETERS, catalog.METRICS))
    try:
        return PublishedFit.of(
            str(manifest["run_id"]),
            str(manifest["target"]),
            parameters,
            metrics,
            manifest["settings"],
            design_from_manifest(manifest),
        )
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise PublishError(f"{folder} cannot be read ({first_line(error)})") from error
