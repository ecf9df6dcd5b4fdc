"""A run on disk or in an object store, for those who read it."""

from __future__ import annotations

import functools
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from gdpipe.config import Unseen
from gdpipe.design import Design, design_from_manifest
from gdpipe.errors import PublishError
from gdpipe.frame_predictions import predictions
from gdpipe.kinds import checked
from gdpipe.layout import MANIFEST
from gdpipe.model import Model
from gdpipe.report.card import card
from gdpipe.report.summary import summarize, summarize_scores
from gdpipe.source.files import first_line
from gdpipe.store import catalog
from gdpipe.store.artifacts import REMEDY, read_artifact
from gdpipe.store.disk import DiskPlace
from gdpipe.store.place import Place
from gdpipe.store.runs import damaged_files, latest_folder, place_at, read_manifest

if TYPE_CHECKING:
    import pandas as pd

    from gdpipe.stages.refit import Refit


class Run:
    """A published (or rejected) run: its folder and manifest; tables are read when they are asked for.

    Attributes:
        place: The run's folder, on a disk or in an object store.
        manifest: The content of its manifest.json.
        is_new: False where a training found nothing to do, and this is the run published before.
    """

    def __init__(self, place: Place, manifest: dict[str, Any] | None = None, *, is_new: bool = True) -> None:
        self.place = place
        self.manifest = read_manifest(place) if manifest is None else manifest
        self.is_new = is_new

    @classmethod
    def at(cls, path: str | os.PathLike[str]) -> Run:
        """The latest published run of an output folder, or the run in that folder; nothing is verified.

        Raises:
            PublishError: There is no run.
        """
        return cls(latest_folder(place_at(path)))

    def __repr__(self) -> str:
        return f"Run({self.location!r})"

    def _repr_html_(self) -> str | None:
        """The run as a notebook shows it; None, which leaves it to `repr`, where it cannot be read any more."""
        try:
            if self.manifest["kind"] != "training":
                return card(self.manifest)
            return card(self.manifest, self.table(catalog.METRICS), self.table(catalog.PARAMETERS))
        except PublishError:
            return None

    @property
    def location(self) -> str:
        """The run's folder or URI, without credentials."""
        return str(self.place)

    @property
    def folder(self) -> Path:
        """The run's folder on a disk.

        Raises:
            PublishError: The run is in an object store; `location` says where.
        """
        if not isinstance(self.place, DiskPlace):
            raise PublishError(f"{self.location}: not a folder on a disk")
        return self.place.path

    @property
    def run_id(self) -> str:
        """The run's name."""
        return str(self.manifest["run_id"])

    @property
    def parameters(self) -> pd.DataFrame:
        """The table `parameters`, one row a term, the intercept first."""
        return self._frame(catalog.PARAMETERS)

    @property
    def loss_history(self) -> pd.DataFrame:
        """The table `loss_history`, one row a recorded step."""
        return self._frame(catalog.LOSS_HISTORY)

    @property
    def metrics(self) -> pd.DataFrame:
        """The table `metrics`, one row: the quality of the fit."""
        return self._frame(catalog.METRICS)

    @property
    def convergence(self) -> pd.DataFrame:
        """The table `convergence`, one row: the verdict."""
        return self._frame(catalog.CONVERGENCE)

    @property
    def drift(self) -> pd.DataFrame:
        """The table `drift` since the previous run, one row a term and one for the target; not in a first run."""
        return self._frame(catalog.DRIFT)

    @property
    def features(self) -> pd.DataFrame:
        """The table `features`, one row a feature with the test of all its terms; only where one is a category."""
        return self._frame(catalog.FEATURES)

    @property
    def levels(self) -> pd.DataFrame:
        """The table `levels`, one row a level of each category; only where a feature is one."""
        return self._frame(catalog.LEVELS)

    @property
    def path(self) -> pd.DataFrame:
        """The table `path`, one row an alpha, the largest first; only with a penalty."""
        return self._frame(catalog.PATH)

    @property
    def folds(self) -> pd.DataFrame:
        """The table `folds`, one row a fold with the fit of all others; only where there are folds."""
        return self._frame(catalog.FOLDS)

    @property
    def predictions(self) -> pd.DataFrame:
        """The table `predictions`, one row an input row, in input order."""
        return self._frame(catalog.PREDICTIONS)

    def _frame(self, artifact: str) -> pd.DataFrame:
        frame: pd.DataFrame = self.table(artifact).to_pandas()
        return frame

    def has(self, artifact: str) -> bool:
        """Whether the run has an artifact.

        `features` and `levels` are there where a feature is a category, `folds` where there are folds, `path` where
        there is a penalty.
        """
        return bool(self._paths(artifact))

    def _paths(self, artifact: str) -> list[str]:
        return [
            entry["path"]
            for entry in self.manifest["files"]
            if entry["path"] == f"{artifact}.parquet" or entry["path"].startswith(f"{artifact}/")
        ]

    def table(self, artifact: str) -> pa.Table:
        """An artifact as an Arrow table.

        Raises:
            PublishError: The run has no such artifact, or it cannot be read.
        """
        paths = self._paths(artifact)
        if not paths:
            raise PublishError(f"{self.location}: the run has no {artifact}")
        try:
            return pa.concat_tables([read_artifact(self.place, path) for path in paths])
        except pa.ArrowException as error:
            raise PublishError(f"{self.location}: the parts of {artifact} differ ({first_line(error)})") from error

    def verify(self) -> list[str]:
        """One line for each file that is not as the manifest says; empty where every checksum holds."""
        return damaged_files(self.place, self.manifest)

    @functools.cached_property
    def design(self) -> Design:
        """The features and their terms.

        Raises:
            PublishError: The run has none, or it is damaged.
        """
        if self.manifest["kind"] != "training":
            raise PublishError(f"{self.location} holds {self.manifest['kind']}, not a model; name a training run")
        try:
            design = design_from_manifest(self.manifest)
            _ = design.names  # which are made of the levels
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            raise PublishError(f"{self.place.below(MANIFEST)}: its design is damaged; {REMEDY}") from error
        return design

    @functools.cached_property
    def model(self) -> Model:
        """The fitted model.

        Raises:
            PublishError: The run has no model, or it cannot be read.
        """
        design, table = self.design, self.table(catalog.PARAMETERS)
        names = list(design.names)
        terms: list[str] = table["term"].to_pylist()
        estimates = table["estimate"].to_numpy()
        # the manifest knows whether the first row is the intercept: a feature may have that name too
        start = 1 if self.manifest["settings"]["fit_intercept"] else 0
        damage = (
            f"estimate is {estimates[unknown[0]]:g} in row {unknown[0]}"
            if (unknown := np.flatnonzero(~np.isfinite(estimates))).size
            else f"its terms are not the {len(names):,} features of manifest.json"
            if terms[start:] != names
            else None
        )
        if damage:
            where = self.place.below(f"{catalog.PARAMETERS}.parquet")
            raise PublishError(f"{where}: {damage}; {REMEDY}")
        return Model(design, estimates[start:], float(estimates[0]) if start else 0.0)

    def refit(self, files: str | None = None, **settings: Any) -> Refit:
        """The fit of this run's rows with other settings, from the sums that its output keeps; no row is read.

        Args:
            files: A pattern of file names, such as `2024-*`; None takes all files of the run.
            settings: Those that differ from the run's: `penalty`, `alpha`, `l1_ratio`, `features` (some of the run's),
                and all that change no sum.

        Raises:
            ConfigError: A setting is wrong, or asks for what the sums do not hold.
            DataError: Sums of a file are missing, or a column cannot be computed with.
            PublishError: It is no training run, or its manifest is damaged.
        """
        from gdpipe.stages.refit import refit

        return refit(self.place, self.manifest, self.design, files, **settings)

    def predict(self, frame: Any, unseen: Unseen = "null") -> pd.Series:
        """Predictions of the rows of a table; columns are matched by name, others are ignored.

        Args:
            frame: A pandas or Polars DataFrame, an Arrow table or record batch, any other table with Arrow's PyCapsule
                interface, or a dict of arrays; with the columns that the features are made from, in any order. A column
                of pandas whose name is not text is found by the name that pandas writes to Parquet.
            unseen: What a level that the fit has not seen does: `null`, no prediction; `reference`, the prediction of
                the reference; `fail`, an error.

        Returns:
            Shape (n_rows,), in target units, with the index of a pandas frame; NaN where a column is missing.

        Raises:
            SchemaError: A column is not there, is there twice, or is of another kind than in training; or `frame` is no
                such table.
            DataError: `unseen` is `fail`, and the fit has not seen a level; or a function, such as `log`, is not
                defined in a row.
            ConfigError: `unseen` is none of these.
        """
        import pandas as pd

        values = predictions(self.model, frame, checked("unseen", Unseen, unseen))
        return pd.Series(values, index=frame.index if isinstance(frame, pd.DataFrame) else None, name="prediction")


def summary(run: Run, width: int | None = None) -> str:
    """The summary of a training run or of scores as text, in lines of this width; None sets no limit."""
    if run.manifest["kind"] != "training":
        return summarize_scores(run.location, run.manifest, width=width)
    names = [catalog.PARAMETERS, catalog.CONVERGENCE, catalog.METRICS]
    tables = (run.table(name) for name in [*names, *([catalog.FEATURES] if run.has(catalog.FEATURES) else [])])
    return summarize(run.location, run.manifest, *tables, width=width)


def open_run(output: str | os.PathLike[str]) -> Run:
    """The latest published run of an output folder or URI (or the run in that folder), its checksums verified.

    Tables are read later, when they are asked for: `gdpipe prune` may have removed the run by then.

    Raises:
        PublishError: There is no run, or a file is not as the manifest says.
    """
    place = place_at(output)
    folder = latest_folder(place)
    while True:
        try:
            run = Run(folder)
            damaged = run.verify()
            if not damaged:
                return run
            raise PublishError(f"{run.location} is damaged: {'; '.join(damaged)}")
        except PublishError:
            # the run may have been pruned while it was read; then there is a newer one
            found = latest_folder(place)
            if found == folder:
                raise
            folder = found
