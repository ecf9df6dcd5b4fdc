"""Polars throughout: sums about rough means, solved by NumPy, and predictions, both by its streaming engine."""

import json
import sys
from itertools import combinations_with_replacement
from pathlib import Path

import numpy as np
import polars as pl

ROUGH = 1_000  # rows whose means are near enough: sums of products about them lose no digits


def main(data: Path, out: Path) -> None:
    rows = pl.scan_parquet(data / "part-*.parquet")
    features = [name for name in rows.collect_schema().names() if name != "y"]
    columns = [*features, "y"]
    rough = np.array(rows.head(ROUGH).select(pl.col(columns).mean()).collect().row(0))
    centred = [pl.col(name) - mean for name, mean in zip(columns, rough.tolist(), strict=True)]
    pairs = [(a * b).sum().alias(str(n)) for n, (a, b) in enumerate(combinations_with_replacement(centred, 2))]
    found = rows.select(pl.len(), *(column.sum() for column in centred), *pairs).collect(engine="streaming").row(0)

    count, sums = found[0], np.array(found[1 : len(columns) + 1])
    upper = np.zeros((len(columns), len(columns)))
    upper[np.triu_indices(len(columns))] = found[len(columns) + 1 :]
    products = np.triu(upper) + np.triu(upper, 1).T - np.outer(sums, sums) / count
    coef = np.linalg.solve(products[:-1, :-1], products[:-1, -1])
    means = rough + sums / count
    coefficients = {
        "intercept": float(means[-1] - coef @ means[:-1]),
        **dict(zip(features, coef.tolist(), strict=True)),
    }

    prediction = pl.lit(coefficients["intercept"])
    for name in features:
        prediction += coefficients[name] * pl.col(name)
    predictions = rows.select(target=pl.col("y"), prediction=prediction)
    predictions = predictions.with_columns(residual=pl.col("target") - pl.col("prediction"))
    predictions.sink_parquet(out / "predictions.parquet", compression="zstd", engine="streaming")
    (out / "coef.json").write_text(json.dumps(coefficients))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
