"""The floor, which learns nothing: scan every column, then scan again and write three, with bare PyArrow's scanner.

As a user would write it: Arrow's own threads read, and one thread writes what they bring.
"""

import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

WRITTEN = ["y", "x1", "x2"]  # as many float64 columns as target, prediction and residual
SCHEMA = pa.schema([(name, pa.float64()) for name in WRITTEN])


def main(data: Path, out: Path) -> None:
    table = ds.dataset(data)  # a folder: files that begin with "_" are passed over
    rows = sum(batch.num_rows for batch in table.to_batches())
    with pq.ParquetWriter(out / "columns.parquet", SCHEMA, compression="zstd") as writer:
        for batch in table.to_batches():
            writer.write_batch(batch.select(WRITTEN))
            rows -= batch.num_rows
    assert rows == 0, "the two scans saw different rows"


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
