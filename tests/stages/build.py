"""A run up to a stage, by the stages themselves, on a handful of rows."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gdpipe.config import TrainingConfig
from gdpipe.engine import open_executor
from gdpipe.fit import Fit
from gdpipe.numerics.descent.descent import Solution
from gdpipe.numerics.problem.regression import Regression
from gdpipe.stages.evidence import Evidence, evidence
from gdpipe.stages.fit import fit
from gdpipe.stages.ingest import Ingested, ingest
from gdpipe.stages.measure import measure
from gdpipe.stages.predict import Predicted, predict
from gdpipe.stages.standardize import standardize
from gdpipe.store.runs import Staging
from tests.conftest import line_columns, write_parquet


@dataclass
class Stages:
    """What each stage gave, as far as it was asked.

    Attributes:
        folder: The source is in it, and the output.
        columns: Of the source.
        settings: Beside source, target `y` and output.
    """

    folder: Path
    columns: dict[str, Any] = field(default_factory=line_columns)
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def config(self) -> TrainingConfig:
        source, output = str(self.folder / "data.parquet"), str(self.folder / "runs")
        return TrainingConfig(source=source, target="y", output=output, run_id="r1", **self.settings)

    def ingested(self) -> Ingested:
        write_parquet(self.folder / "data.parquet", self.columns)
        with open_executor() as executor:
            return ingest(self.config, executor)

    def posed(self) -> tuple[Ingested, Regression]:
        ingested = self.ingested()
        return ingested, standardize(self.config, ingested)

    def descended(self) -> tuple[Ingested, Regression, Solution]:
        ingested, regression = self.posed()
        return ingested, regression, fit(self.config, regression)

    def predicted(self, staging: Staging) -> tuple[Ingested, Regression, Solution, Predicted]:
        ingested, regression, solution = self.descended()
        with open_executor() as executor:
            return ingested, regression, solution, predict(ingested, regression, solution, staging, executor)

    def measured(self, staging: Staging) -> tuple[Ingested, Fit, Predicted]:
        ingested, regression, solution, predicted = self.predicted(staging)
        return ingested, measure(ingested, regression, solution, predicted), predicted

    def evident(self, staging: Staging) -> tuple[Ingested, Fit, Predicted, Evidence]:
        ingested, found, predicted = self.measured(staging)
        return ingested, found, predicted, evidence(self.config, ingested, found, predicted, staging)
