"""Refit: other questions to a run, answered from the sums that its output keeps; no file of the source is opened."""

import fnmatch
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from threadpoolctl import threadpool_limits

from gdpipe.config import TrainingConfig
from gdpipe.cross_validation import CrossValidation, why_no_folds
from gdpipe.design import Design
from gdpipe.errors import ConfigError
from gdpipe.fit import Fit
from gdpipe.numerics.problem.covariance import CrossProducts
from gdpipe.numerics.rows.held_out import HeldOutError
from gdpipe.penalty_path import PenaltyPath
from gdpipe.printable import counted, printable
from gdpipe.report.categories import grouped
from gdpipe.report.one_fit import fit_shown
from gdpipe.report.summary import MOST_TERMS, OTHER_FIT, fit_tables, penalty_in_words, table_lines, unseen_rows
from gdpipe.source.arrays import to_table
from gdpipe.stages.feature_tables import feature_columns
from gdpipe.stages.fit_tables import convergence_columns, parameter_columns, path_columns
from gdpipe.stages.held_out import error_columns
from gdpipe.stages.kept_sums import kept_sums
from gdpipe.store import catalog
from gdpipe.store.place import Place
from gdpipe.terms import Terms
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
        return {name: to_table(values, catalog.schema(name, "")) for name, values in columns.items()}

    @property
    def parameters(self) -> "pd.DataFrame":
        """The table `parameters`, one row a term, the intercept first."""
        frame: pd.DataFrame = self.tables()[catalog.PARAMETERS].to_pandas()
        return frame

    def summary(self) -> str:
        """The fit in a dozen lines."""
        fit, tables = self.fit, self.tables()
        verdict = tables[catalog.CONVERGENCE].to_pylist()[0]
        penalty = penalty_in_words(self.config.as_dict(), verdict)
        rows = tables[catalog.PARAMETERS].to_pylist()
        terms, of_descent = fit_shown(rows, verdict, fit.regression.scaling.target_scale)
        categories = grouped(tables, terms)
        notice = self.path and self.path.notice(self.config)
        unseen = unseen_rows(
            error_columns(self.cross_validation, self.holdout), self.config.folds, passed=fit.certificate.passed
        )
        shown = fit_tables(terms, categories, penalized=bool(penalty), of_descent=of_descent)
        lines = [
            f"rows        {self.n_samples:,} used, of {counted(len(self.files), 'file')}, from the sums kept",
            f"verdict     {'PASSED' if fit.certificate.passed else 'NOT PASSED'}: {fit.certificate.reason}",
            *([f"penalty     {penalty}"] if penalty else []),
            f"fit         R² {fit.statistics.r2:.7g}, RMSE {fit.statistics.rmse:.7g}",
            *([f"unseen rows {unseen}"] if unseen else []),
            *(f"dependent   {line}" for line in fit.dependencies),
            *([f"notice      {notice}"] if notice else []),
            *([] if of_descent else [f"table       {OTHER_FIT}"]),
        ]
        tables_in_lines = (line for table in shown for line in table_lines(table[:MOST_TERMS]))
        return "\n".join([*map(printable, lines), *tables_in_lines])


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
    config = _config(manifest, settings)
    plain = replace(design, levels={}, fit_intercept=config.fit_intercept)
    if not all("sums" in entry for entry in manifest["inputs"]):
        raise ConfigError(
            f"{run}: its manifest does not say whose sums are kept, as it is of an earlier version; train again"
        )
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
    terms = Terms.of(config, plain, kept.levels, where)
    design = _with_features(
        terms.design, manifest["settings"].get("features"), settings.get("features") and config.features, where
    )
    names = [*terms.design.names, None]
    places = [names.index(name) for name in [*design.names, None]]
    of_terms = kept.over_terms(terms)
    moments = of_terms.moments.select(places)
    folds = () if why_no_folds(len(design.terms), len(kept.folds)) else kept.folds
    by_fold = [terms.over_terms(fold).moments.select(places) for fold in folds]
    resolution = design.resolution(roundings)
    with threadpool_limits(1, user_api="blas"):
        found = validated_fit(moments, by_fold, design, config, resolution, where)
        holdout = None
        if of_terms.held_out is not None and of_terms.held_out.moments.n_samples:
            cross = CrossProducts.of(of_terms.held_out.moments, centred=config.fit_intercept)
            held_out = cross.select(places)
            holdout = HeldOutError.of(held_out, found.fit.model.coef.tolist(), found.fit.model.intercept)
    files_used = tuple(entry["file"] for entry in wanted if entry.get("held_out") != "all")
    return Refit(config, files_used, moments.n_samples, found.fit, found.path, found.cross_validation, holdout)


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


def _with_features(design: Design, before: Sequence[str] | None, wanted: Sequence[str] | None, where: str) -> Design:
    """The design of the features that are wanted, each with the terms that it has among all features of the run.

    `before` are the features that the run was asked for, in the same order, as in C(kind) for a text column kind.
    """
    if not wanted:
        return design
    by_name = {feature.name: feature for feature in design.features}
    written = by_name | dict(zip(before or (), design.features, strict=False))
    if absent := [name for name in wanted if name not in written]:
        raise ConfigError(
            f"features: no sums of {', '.join(absent)} are kept in {where}, only of {', '.join(by_name)}; train again"
        )
    some = design.of_features([written[name] for name in wanted])
    if absent := [name for name in some.names if name not in design.names]:
        raise ConfigError(
            f"features: without the features left out, those asked for have other terms, such as {absent[0]}, of which "
            f"{where} has no sums; train again"
        )
    return some
