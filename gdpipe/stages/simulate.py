"""Simulate: dummy data of a linear model, with the true parameters."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from gdpipe.errors import ConfigError
from gdpipe.numerics.rows import linear
from gdpipe.source.arrays import to_table
from gdpipe.stages.progress import Activity, telling
from gdpipe.store import catalog
from gdpipe.store.disk import DiskPlace
from gdpipe.store.writer import TableWriter, write_table

CHUNK_ROWS = 1_000_000
# readers of data skip names that start with '_'
TRUTH = "_true_parameters.parquet"


@dataclass(frozen=True, slots=True)
class Simulation:
    """Settings of dummy data: y = bias + Σ weightⱼ·xⱼ + noise, x uniform, noise normal.

    Attributes:
        weights: The coefficients, shape (p,).
        noise: Its standard deviation.
        rows: In all files together.
        low, high: The least and the largest x.
        seed: Of the random numbers; the same seed gives the same values.

    Raises:
        ConfigError: A number is out of range.
    """

    weights: Sequence[float]
    bias: float = 4.0
    noise: float = 1.0
    rows: int = 100_000
    files: int = 4
    low: float = 0.0
    high: float = 50.0
    seed: int = 0

    def __post_init__(self) -> None:
        for name, valid, wanted in (
            ("weights", len(self.weights) > 0 and all(map(np.isfinite, self.weights)), "at least one number"),
            ("rows", self.rows >= 1, "1 or more"),
            ("files", 1 <= self.files <= self.rows, "from 1 to the number of rows"),
            ("noise", 0 <= self.noise < np.inf, "0 or more"),
            ("bias", np.isfinite(self.bias), "a number"),
            ("low", np.isfinite(self.low), "a number"),
            ("high", self.low < self.high < np.inf, "a number above low"),
            ("seed", self.seed >= 0, "0 or more"),
        ):
            if not valid:
                raise ConfigError(f"{name} {getattr(self, name)!r}: must be {wanted}")


def simulate(settings: Simulation, folder: Path) -> list[Path]:
    """Write part-00000.parquet ... with columns x1, x2, ..., y, and the true parameters in the same folder.

    Returns:
        The data files.

    Raises:
        ConfigError: The folder holds Parquet files already.
        PublishError: A file cannot be written.
    """
    if any(folder.glob("*.parquet")):
        raise ConfigError(f"{folder}: holds Parquet files already; name an empty folder")
    features = [f"x{j + 1}" for j in range(len(settings.weights))]
    coef = np.array(settings.weights, float)
    schema = catalog.described(pa.schema([pa.field(n, pa.float64()) for n in [*features, "y"]]), "simulated", "")
    bounds = np.linspace(0, settings.rows, settings.files + 1).astype(int).tolist()
    place = DiskPlace.of(folder)
    written = []
    with telling(Activity("written", settings.rows, "row")) as activity:
        for part, (start, stop) in enumerate(itertools.pairwise(bounds)):
            # each file has its own generator, so that its values do not depend on the others
            rng = np.random.default_rng([settings.seed, part])
            path = f"part-{part:05d}.parquet"
            writer = TableWriter(place, path, schema)
            for at in range(start, stop, CHUNK_ROWS):
                rows = min(CHUNK_ROWS, stop - at)
                x = rng.uniform(settings.low, settings.high, (len(features), rows))
                y = linear.predict(x, coef, settings.bias) + rng.normal(0.0, settings.noise, rows)
                writer.write(to_table(dict(zip(schema.names, [*x, y], strict=True)), schema))
                activity.at(at + rows)
            writer.close()
            written.append(folder / path)
    truth = {"term": ["intercept", *features], "value": [settings.bias, *coef.tolist()]}
    write_table(place, TRUTH, to_table(truth, catalog.schema(catalog.TRUE_PARAMETERS, "")))
    return written
