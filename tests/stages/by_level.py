"""Whole runs with a category, of rows that are made here."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import gdpipe
from gdpipe.run import Run


def features(reference: str | None = None) -> list[str]:
    """The features of `flown`."""
    return ["x", f"C(carrier, ref={reference!r})" if reference else "carrier"]


def flown(carriers: str, n: int = 400, seed: int = 0) -> dict[str, Any]:
    """Rows of x, the carriers (each a letter, more often where it stands twice), and a target that both explain."""
    rng = np.random.default_rng(seed)
    carrier, x = rng.choice(list(carriers), n), rng.normal(3, 2, n)
    effect = np.array([float(ord(letter) % 7) for letter in carrier])
    return {"x": x, "carrier": carrier, "y": 1 + x / 2 + effect + rng.normal(size=n)}


def train_by_level(folder: Path, features: list[str], rows: dict[str, Any], **settings: Any) -> Run:
    """A published run of these rows into `runs` in the folder."""
    table = pa.table({name: pa.array(np.asarray(values).tolist()) for name, values in rows.items()})
    pq.write_table(table, folder / "data.parquet")
    return gdpipe.train(
        source=folder / "data.parquet", target="y", output=folder / "runs", features=features, **settings
    )
