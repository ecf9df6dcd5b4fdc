"""Refit: other questions to a run, answered from the sums that its output keeps; no file of the source is opened."""

import fnmatch
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from threadpoolctl import threadpool_limits

from gdpipe.config import TrainingConfig
from gdpipe.cross_validation import CrossValidation, why_no_folds
from gdpipe.design import Category, ColumnKind, Design, Feature, Input, features_of, margin, quoted
from gdpipe.errors import ConfigError
from gdpipe.fit import Fit
from gdpipe.numerics.problem.covariance import CrossProducts
from gdpipe.numerics.rows.held_out import HeldOutError
from gdpipe.penalty_path import PenaltyPath
from gdpipe.printable import counted, printable
from gdpipe.report.categories import grouped
from gdpipe.report.one_fit import fit_shown
from gdpipe.report.summary import OTHER_FIT, fit_tables, lines_of_fit, penalty_in_words, unseen_rows, wrapped
from gdpipe.source.arrays import to_table
from gdpipe.stages.feature_tables import feature_columns
from gdpipe.stages.fit_tables import convergence_columns, parameter_columns, path_columns
from gdpipe.stages.held_out import error_columns
from gdpipe.stages.kept_sums import kept_sums
from gdpipe.store import catalog
from gdpipe.store.place import Place
from gdpipe.terms import Terms, sums_are_exact
from gdpipe.validated_fit import validated_fit

if TYPE_CHECKING:
    import pandas as pd

# settings that change which rows are summed, or how: their answers need another scan
OTHER_SUMS = (
    "source",
    "target",
    "weight",
    "filters",
    "null_policy",
    "exclude",
    "arithmetic",
    "folds",
    "fold_by",
    "holdout",
)


@dataclass(frozen=True, slots=True, eq=False)
class Refit:
    """A fit from kept sums, which is not published.

    Attributes:
        config: Its settings.
        files: The files whose rows it is made of.
        n_samples: Rows fitted.
        fit: The fit, with its certificate.
        path: The path of its penalty; None without one.
        cross_validation: The error on unseen rows; None where there are no folds.
        holdout: The error on the rows held out; None where there are none.
    """

    config: TrainingConfig
    files: tuple[str, ...]
    n_samples: int
    fit: Fit
    path: PenaltyPath | None
    cross_validation: CrossValidation | None
    holdout: HeldOutError | None

    def tables(self) -> dict[str, pa.Table]:
        """The artifacts `parameters`, `convergence` and, where a run has them, `path` and `features`."""
        columns = {
            catalog.PARAMETERS: parameter_columns(self.config, self.fit),
            catalog.CONVERGENCE: convergence_columns(self.config, self.fit),
        }
        if self.fit.design.categories:
            columns[catalog.FEATURES] = feature_columns(self.fit)
        if self.path is not None:
            columns[catalog.PATH] = path_columns(self.fit, self.path)
        penalized = self.path is not None
        return {name: to_table(columns[name], catalog.schema(name, "", penalized=penalized)) for name in columns}

    @property
    def parameters(self) -> "pd.DataFrame":
        """The table `parameters`, one row a term, the intercept first."""
        frame: pd.DataFrame = self.tables()[catalog.PARAMETERS].to_pandas()
        return frame

    def metrics(self) -> dict[str, Any]:
        """Columns of a run's `metrics`: rows, fit, and errors on unseen rows; NaN where there is no such error."""
        statistics = self.fit.statistics
        of_fit = {"n_samples": self.n_samples, "r2": statistics.r2, "rmse": statistics.rmse}
        return {**of_fit, **error_columns(self.cross_validation, self.holdout)}

    def summary(self, width: int | None = None) -> str:
        """The fit in a dozen lines, of this width in characters; None sets no limit."""
        fit, tables = self.fit, self.tables()
        verdict = tables[catalog.CONVERGENCE].to_pylist()[0]
        penalty = penalty_in_words(self.config.as_dict(), verdict)
        rows = tables[catalog.PARAMETERS].to_pylist()
        terms, of_descent = fit_shown(rows, verdict, fit.regression.scaling.target_scale)
        categories = grouped(tables, terms)
        notices = [self.path and self.path.notice(self.config), self.cross_validation and self.cross_validation.notice]
        unseen = unseen_rows(self.metrics(), self.config.folds, passed=fit.certificate.passed)
        shown = fit_tables(terms, categories, penalized=bool(penalty), of_descent=of_descent)
        lines = [
            f"rows        {self.n_samples:,} used, of {counted(len(self.files), 'file')}, from the sums kept",
            f"verdict     {'PASSED' if fit.certificate.passed else 'NOT PASSED'}: {fit.certificate.reason}",
            *([f"penalty     {penalty}"] if penalty else []),
            f"fit         R² {fit.statistics.r2:.7g}, RMSE {fit.statistics.rmse:.7g}",
            *([f"unseen rows {unseen}"] if unseen else []),
            *(f"dependent   {line}" for line in fit.dependencies),
            *(f"notice      {notice}" for notice in notices if notice),
            *([] if of_descent else [f"table       {OTHER_FIT}"]),
        ]
        lines = [part for line in lines for part in wrapped(printable(line), width)]
        return "\n".join([*lines, *lines_of_fit(shown, ("with --json",) * 2, width)])


def refit(run: Place, manifest: Mapping[str, Any], design: Design, files: str | None = None, **settings: Any) -> Refit:
    """The fit of a run's rows with other settings, from the sums of each file that its output keeps.

    Args:
        run: The run's folder, in its output.
        manifest: Its manifest.
        design: Its features.
        files: A pattern of file names, such as `2024-*`; None takes all files of the run.
        settings: Those that differ from the run's: `features`, some of the run's, and all that change no sum.

    Raises:
        ConfigError: A setting is wrong, or asks for what the sums do not hold.
        DataError: Sums of a file are missing, or as in `gdpipe.fit.standardize`.
    """
    if not isinstance(files, str | None):
        raise ConfigError(f"files {files!r}: must be a pattern of file names, such as 2024-*")
    config = _config(manifest, settings)
    plain = replace(design, levels={}, fit_intercept=config.fit_intercept)
    if not all("sums" in entry for entry in manifest["inputs"]):
        raise ConfigError(
            f"{run}: its manifest does not say whose sums are kept, as it is of an earlier version; train again"
        )
    if not sums_are_exact(config, plain):
        raise ConfigError(f"{run}: sums in float64, as it has them, are not kept; train again with arithmetic=exact")
    inputs = [entry for entry in manifest["inputs"] if entry["sums"]]
    wanted = [entry for entry in inputs if files is None or fnmatch.fnmatchcase(entry["file"], files)]
    if not wanted:
        raise ConfigError(
            f"files {files!r}: none of {counted(len(inputs), 'file')} of {run} has such a name; correct the pattern"
        )
    kept, roundings = kept_sums(run, manifest, plain, config, wanted)
    where = str(run)
    if not kept.moments.n_samples:
        raise ConfigError(f"files {files!r}: all their rows are held out, or left out, in {where}; take others too")
    features = plain.features if not settings.get("features") else _chosen(plain, config.features or (), where)
    terms = Terms.of(config, _referring(plain, features), kept.levels, where).of_features(config, features, where)
    design, of_terms = terms.design, kept.over_terms(terms)
    folds = () if why_no_folds(terms.solved, len(kept.folds)) else kept.folds
    by_fold = [terms.over_terms(fold).moments for fold in folds]
    resolution = design.resolution(roundings)
    with threadpool_limits(1, user_api="blas"):
        found = validated_fit(of_terms.moments, by_fold, design, config, resolution, where)
        holdout = None
        if of_terms.held_out is not None and of_terms.held_out.moments.n_samples:
            cross = CrossProducts.of(of_terms.held_out.moments, centred=config.fit_intercept)
            holdout = HeldOutError.of(cross, found.fit.model.coef.tolist(), found.fit.model.intercept)
    files_used = tuple(entry["file"] for entry in wanted if entry.get("held_out") != "all")
    return Refit(config, files_used, kept.moments.n_samples, found.fit, found.path, found.cross_validation, holdout)


def _config(manifest: Mapping[str, Any], settings: Mapping[str, Any]) -> TrainingConfig:
    """The run's settings with others in their places."""
    if other := [name for name in settings if name in OTHER_SUMS]:
        raise ConfigError(
            f"{', '.join(other)}: changes the sums, of which the run has kept its own; train again with it"
        )
    # a strength is that of its penalty
    forgotten = ("alpha", "l1_ratio") if "penalty" in settings else ()
    before = {name: value for name, value in manifest["settings"].items() if name not in forgotten}
    return TrainingConfig.of({**before, **settings})


def _chosen(design: Design, wanted: Sequence[str], where: str) -> tuple[Feature, ...]:
    """The features of the run that are wanted, in whatever spelling, with the references that are wanted.

    A reference that is not named is that of the run.
    """
    of_run = {margin(feature.factors): feature for feature in design.features}

    def no_sums(name: str) -> ConfigError:
        names = ", ".join(feature.name for feature in design.features)
        return ConfigError(f"features: no sums of {name} are kept in {where}, only of {names}; train again")

    def kind_of(column: str) -> ColumnKind:
        if column not in design.columns:
            raise no_sums(column)
        return _kind_in(design, column)

    found = []
    for text, read in zip(wanted, features_of(wanted, design.columns, kind_of, {}), strict=True):
        if (feature := of_run.get(margin(read.factors))) is None:
            raise no_sums(text)
        asked = {category.input: category.reference for category in read.categories if category.reference is not None}
        found.append(_with_references(feature, {**_references(feature), **asked}))
    return tuple(found)


def _kind_in(design: Design, column: str) -> ColumnKind:
    """The kind of a column, as far as the features tell that are made from it."""
    factors = [factor for feature in design.features for factor in feature.factors if factor.input.column == column]
    if any(factor.input.part for factor in factors):
        is_time = column in design.zones or any(factor.input.part == "hour" for factor in factors)
        return "time" if is_time else "date"
    if any(factor.input.levels == "boolean" for factor in factors):
        return "boolean"
    if any(factor.input.levels == "text" for factor in factors):
        return "text" if any(factor.name in (column, quoted(column)) for factor in factors) else "date"
    return "number"


def _referring(design: Design, features: Sequence[Feature]) -> Design:
    """The design with the references of some of its features; without those of others, whose levels may be gone."""
    references = {of: reference for feature in features for of, reference in _references(feature).items()}
    return replace(design, features=tuple(_with_references(feature, references) for feature in design.features))


def _references(feature: Feature) -> dict[Input, str | None]:
    return {category.input: category.reference for category in feature.categories}


def _with_references(feature: Feature, references: Mapping[Input, str | None]) -> Feature:
    factors = (
        replace(factor, reference=references.get(factor.input)) if isinstance(factor, Category) else factor
        for factor in feature.factors
    )
    return Feature(tuple(factors))
