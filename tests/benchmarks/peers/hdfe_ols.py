"""hdfe-stream without fixed effects, which is OLS. Not named like the package: a script hides what has its name."""

import json
import sys
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
from hdfe_stream import StreamingHDFE  # type: ignore[import-not-found]  # not in the locks


def main(data: Path, out: Path) -> None:
    features = [name for name in pq.read_schema(data / "part-00000.parquet").names if name != "y"]
    model = StreamingHDFE(y="y", x=features, fe=[], workdir=out, save_resid=False, verbose=False)
    fitted = model.fit(str(data / "part-*.parquet"))

    predictions = fitted.predict().select(target=pl.col("y"), prediction=pl.col("prediction"))
    predictions = predictions.with_columns(residual=pl.col("target") - pl.col("prediction"))
    predictions.sink_parquet(out / "predictions.parquet", compression="zstd")

    coefficients = {name.replace("Intercept", "intercept"): float(value) for name, value in fitted.coef().items()}
    (out / "coef.json").write_text(json.dumps(coefficients))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
