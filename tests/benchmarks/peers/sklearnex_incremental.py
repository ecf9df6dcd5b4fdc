"""scikit-learn-intelex's IncrementalLinearRegression over record batches of PyArrow."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from sklearnex.linear_model import IncrementalLinearRegression  # type: ignore[import-not-found]  # not in the locks

BATCH_ROWS = 131_072
SCHEMA = pa.schema([(name, pa.float64()) for name in ("target", "prediction", "residual")])


def scan(files: list[Path], features: list[str]) -> Iterator[tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]]:
    for path in files:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(BATCH_ROWS):
                yield np.column_stack([batch[name].to_numpy() for name in features]), batch["y"].to_numpy()


def main(data: Path, out: Path) -> None:
    files = sorted(data.glob("part-*.parquet"))
    features = [name for name in pq.read_schema(files[0]).names if name != "y"]
    model = IncrementalLinearRegression()
    for X, y in scan(files, features):
        model.partial_fit(X, y)
    coefficients = {"intercept": float(model.intercept_), **dict(zip(features, model.coef_.tolist(), strict=True))}

    with pq.ParquetWriter(out / "predictions.parquet", SCHEMA, compression="zstd") as writer:
        for X, y in scan(files, features):
            prediction = model.predict(X)
            writer.write_batch(pa.record_batch([y, prediction, y - prediction], schema=SCHEMA))
    (out / "coef.json").write_text(json.dumps(coefficients))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
