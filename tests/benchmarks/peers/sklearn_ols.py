"""The usual way: pandas, StandardScaler and LinearRegression."""

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.linear_model import LinearRegression
from sklearn.preprocessing import StandardScaler


def main(data: Path, out: Path) -> None:
    table = pd.read_parquet(data)  # a folder: files that begin with "_" are passed over
    X, y = table.drop(columns="y"), table["y"]
    scaler = StandardScaler()
    model = LinearRegression().fit(scaler.fit_transform(X), y)

    prediction = model.predict(scaler.transform(X))
    predictions = pd.DataFrame({"target": y, "prediction": prediction, "residual": y - prediction})
    predictions.to_parquet(out / "predictions.parquet", compression="zstd")

    coef = model.coef_ / scaler.scale_  # back to original units
    intercept = float(np.ravel(model.intercept_)[0] - coef @ scaler.mean_)
    coefficients = {"intercept": intercept, **dict(zip(X.columns, coef.tolist(), strict=True))}
    (out / "coef.json").write_text(json.dumps(coefficients))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
