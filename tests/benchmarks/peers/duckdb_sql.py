"""DuckDB throughout: sums about rough means in SQL, solved by NumPy, and predictions in SQL."""

import json
import sys
from itertools import combinations_with_replacement
from pathlib import Path

import duckdb
import numpy as np

ROUGH = 1_000  # rows whose means are near enough: sums of products about them lose no digits


def literal(value: float) -> str:
    return f"({value:.17e})"  # with an exponent: a DOUBLE, where 0.1 were a DECIMAL


def main(data: Path, out: Path) -> None:
    database = duckdb.connect()
    rows = f"read_parquet('{data}/part-*.parquet')"
    features = [name for name, *_ in database.execute(f"DESCRIBE FROM {rows}").fetchall() if name != "y"]
    columns = [*features, "y"]

    def totals(expressions: list[str], source: str) -> list[float]:
        [found] = database.execute(f"SELECT {', '.join(expressions)} FROM {source}").fetchall()
        return list(found)

    rough = totals([f"avg({name})" for name in columns], f"(FROM {rows} LIMIT {ROUGH})")
    centred = [f"({name} - {literal(mean)})" for name, mean in zip(columns, rough, strict=True)]
    pairs = [f"sum({a} * {b})" for a, b in combinations_with_replacement(centred, 2)]
    found = totals(["count(*)", *(f"sum({column})" for column in centred), *pairs], rows)

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

    terms = [f"{literal(coefficients[name])} * {name}" for name in features]
    prediction = " + ".join([literal(coefficients["intercept"]), *terms])
    chosen = f"SELECT y AS target, {prediction} AS prediction, target - prediction AS residual FROM {rows}"
    database.execute(f"COPY ({chosen}) TO '{out}/predictions.parquet' (FORMAT parquet, COMPRESSION zstd)")
    (out / "coef.json").write_text(json.dumps(coefficients))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
