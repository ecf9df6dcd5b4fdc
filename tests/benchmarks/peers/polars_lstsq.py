"""Polars in and out, NumPy's lstsq between."""

import json
import sys
from pathlib import Path

import numpy as np
import polars as pl


def main(data: Path, out: Path) -> None:
    table = pl.read_parquet(data / "part-*.parquet")
    features = [name for name in table.columns if name != "y"]
    X = table.select(pl.lit(1.0).alias("intercept"), *features).to_numpy()
    y = table["y"].to_numpy()
    coef = np.linalg.lstsq(X, y, rcond=None)[0]

    prediction = X @ coef
    predictions = pl.DataFrame({"target": y, "prediction": prediction, "residual": y - prediction})
    predictions.write_parquet(out / "predictions.parquet", compression="zstd")

    coefficients = dict(zip(["intercept", *features], coef.tolist(), strict=True))
    (out / "coef.json").write_text(json.dumps(coefficients))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
