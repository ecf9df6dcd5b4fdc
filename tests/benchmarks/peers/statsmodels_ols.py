"""pandas and statsmodels' OLS, which gives standard errors too."""

import json
import sys
from pathlib import Path

import pandas as pd
import statsmodels.api as sm


def main(data: Path, out: Path) -> None:
    table = pd.read_parquet(data)  # a folder: files that begin with "_" are passed over
    y = table["y"]
    fitted = sm.OLS(y, sm.add_constant(table.drop(columns="y"))).fit()

    predictions = pd.DataFrame({"target": y, "prediction": fitted.fittedvalues, "residual": fitted.resid})
    predictions.to_parquet(out / "predictions.parquet", compression="zstd")

    coefficients = fitted.params.rename({"const": "intercept"}).to_dict()
    (out / "coef.json").write_text(json.dumps(coefficients))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
