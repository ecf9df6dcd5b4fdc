"""Spark MLlib on this machine alone (`local[*]`), its settings as they come."""

import json
import sys
from pathlib import Path

from pyspark.ml.feature import VectorAssembler  # type: ignore[import-not-found]  # not in the locks: 400 MB
from pyspark.ml.regression import LinearRegression  # type: ignore[import-not-found]  # likewise
from pyspark.sql import SparkSession  # type: ignore[import-not-found]  # likewise


def main(data: Path, out: Path) -> None:
    here = {"spark.ui.enabled": "false", "spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1"}
    spark = SparkSession.builder.master("local[*]").config(map=here).getOrCreate()
    java = spark.sparkContext._gateway.proc
    table = spark.read.parquet(str(data))  # a folder: files that begin with "_" are passed over
    features = [name for name in table.columns if name != "y"]
    rows = VectorAssembler(inputCols=features, outputCol="features").transform(table)
    model = LinearRegression(featuresCol="features", labelCol="y").fit(rows)

    predictions = model.transform(rows).selectExpr("y AS target", "prediction", "y - prediction AS residual")
    predictions.write.parquet(str(out / "predictions"), compression="zstd")

    coefficients = {"intercept": model.intercept, **dict(zip(features, model.coefficients.tolist(), strict=True))}
    (out / "coef.json").write_text(json.dumps(coefficients))

    spark.stop()
    java.stdin.close()  # Java ends with its input; waited for, its time and memory count as ours
    java.wait()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
