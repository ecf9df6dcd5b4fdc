"""Whole runs with categories from one-hot columns: what is said of levels, whatever reads them."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from gdpipe.config import TrainingConfig
from gdpipe.design import Category, Design, Feature, Input, Number
from gdpipe.numerics.sums.levels import Key, LevelSums
from gdpipe.pipeline import Steps, train
from gdpipe.run import Run
from gdpipe.stages.decide import decide
from gdpipe.stages.evidence import evidence
from gdpipe.stages.ingest import Ingested
from gdpipe.stages.measure import measure
from gdpipe.stages.publish import publish
from tests.conftest import write_parquet
from tests.numerics.build import coded, one_hot, with_levels

X = Number("x", Input("x"))
CARRIER = Category("carrier", Input("carrier", levels="text"))


def features(reference: str | None = None) -> list[Feature]:
    return [Feature((X,)), Feature((dataclasses.replace(CARRIER, reference=reference),))]


def flown(carriers: str, n: int = 400, seed: int = 0) -> dict[str, Any]:
    """Rows of x, the carriers (each a letter, more often where it stands twice), and a target that both explain."""
    rng = np.random.default_rng(seed)
    carrier, x = rng.choice(list(carriers), n), rng.normal(3, 2, n)
    effect = np.array([float(ord(letter) % 7) for letter in carrier])
    return {"x": x, "carrier": carrier, "y": 1 + x / 2 + effect + rng.normal(size=n)}


def sums_by_level(design: Design, columns: list[Any]) -> dict[Key, LevelSums]:
    """Counts of rows by level."""
    found: dict[Key, LevelSums] = {}
    for c, category in enumerate(design.category_values(columns)):
        labels, rows = np.unique(np.array(category.labels)[category.codes], return_counts=True)
        found[(c,)] = LevelSums(tuple((label,) for label in labels.tolist()), rows, rows.astype(object))
    return found


def swapped(design: Design, columns: list[Any]) -> Callable[[Ingested], Ingested]:
    """Sums of one-hot columns, said to be those of the design."""

    def swap(ingested: Ingested) -> Ingested:
        return dataclasses.replace(
            ingested,
            columns=dataclasses.replace(ingested.columns, design=design),
            rows=dataclasses.replace(ingested.rows, missing=np.zeros(len(design.columns) + 1, np.int64)),
            levels=sums_by_level(design, columns),
        )

    return swap


def by_level(features: list[Feature], rows: dict[str, Any], *, fit_intercept: bool = True) -> tuple[Design, list[Any]]:
    """The design with the levels of these rows, and the values of its inputs."""
    plain = Design(tuple(features), {}, fit_intercept)
    columns = [coded(rows[of.column]) if of.levels else np.asarray(rows[of.column], float) for of in plain.inputs]
    return with_levels(plain, columns), columns


def train_by_level(folder: Path, features: list[Feature], rows: dict[str, Any], **settings: Any) -> Run:
    """A published run of features with categories into `runs` in the folder."""
    design, columns = by_level(features, rows, fit_intercept=settings.get("fit_intercept", True))
    hot = dict(zip(design.names, one_hot(design, columns), strict=True))
    source = write_parquet(folder / "data.parquet", {**hot, "y": rows["y"]})
    config = TrainingConfig.of({"source": source, "target": "y", "output": folder / "runs", **settings})
    swap = swapped(design, columns)
    steps = Steps(
        measure=lambda ingested, *more: measure(swap(ingested), *more),
        evidence=lambda config, ingested, *more: evidence(config, swap(ingested), *more),
        decide=lambda config, ingested, *more: decide(config, swap(ingested), *more),
        publish=lambda config, ingested, *more: publish(config, swap(ingested), *more),
    )
    return train(config, steps)
