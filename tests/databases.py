"""Databases that compute predictions in SQL: DuckDB in this process, and a PostgreSQL server of our own."""

import getpass
import math
import os
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from sqlglot import exp


def bits(values: Sequence[float | None]) -> list[bytes | None]:
    """Each number's eight bytes; None where there is none."""
    return [None if v is None or math.isnan(v) else struct.pack("<d", v) for v in values]


def in_duckdb(query: str, **tables: pa.Table) -> list[tuple[Any, ...]]:
    with duckdb.connect() as connection:
        for name, table in tables.items():
            connection.register(name, table)
        found: list[tuple[Any, ...]] = connection.execute(query).fetchall()
        return found


def postgres_server() -> Iterator["Postgres"]:
    """PostgreSQL: a cluster of our own on a Unix socket, stopped by its process."""
    programs = {name: shutil.which(name) for name in ("initdb", "postgres", "psql")}
    if not all(programs.values()):
        pytest.skip("PostgreSQL (initdb, postgres, psql) is not installed")
    user = "nobody" if os.geteuid() == 0 else None  # PostgreSQL refuses to be run by root
    with tempfile.TemporaryDirectory(prefix="pg") as folder:  # a socket's path must be short
        if user:
            shutil.chown(folder, user)
        yield from Postgres.running(Path(folder), user)


class Postgres:
    """A server that answers one script at a time."""

    def __init__(self, folder: Path, user: str | None) -> None:
        self.folder, self.user = folder, user

    @classmethod
    def running(cls, folder: Path, user: str | None) -> Iterator["Postgres"]:
        data = folder / "data"
        subprocess.run(
            ["initdb", "--pgdata", data, "--no-sync", "--auth", "trust", "--encoding", "UTF8", "--no-locale"],
            user=user,
            check=True,
            capture_output=True,
            cwd=folder,
        )
        command: list[str | Path] = ["postgres", "-D", data, "-k", folder, "-c", "listen_addresses=", "-c", "fsync=off"]
        with subprocess.Popen(
            command, user=user, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        ) as server:
            try:
                assert server.stderr is not None
                assert any("ready to accept connections" in line for line in server.stderr)
                yield cls(folder, user)
            finally:
                server.terminate()

    def run(self, script: str) -> str:
        name = self.user or getpass.getuser()
        command: list[str | Path] = [
            "psql",
            "-h",
            self.folder,
            "-U",
            name,
            "-d",
            "postgres",
            "-XqAt",
            "-v",
            "ON_ERROR_STOP=1",
        ]
        done = subprocess.run(command, input=script, capture_output=True, text=True, check=False, cwd=self.folder)
        assert done.returncode == 0, done.stderr
        return str(done.stdout)

    def predictions(self, columns: dict[str, str], rows: Iterable[Sequence[Any]], query: str) -> list[float | None]:
        """What a query of table t says of these rows, in their order, which a heap does not keep."""
        kinds = "".join(f", {exp.column(name, quoted=True).sql('postgres')} {kind}" for name, kind in columns.items())
        lines = ["\t".join([str(n), *(r"\N" if v is None else str(v) for v in row)]) for n, row in enumerate(rows)]
        out = self.run(
            f"CREATE TEMP TABLE t (row_number int{kinds});\nCOPY t FROM STDIN;\n"
            + "\n".join([*lines, r"\.", f"SELECT prediction FROM ({query}) AS q ORDER BY row_number;\n"])
        )
        return [float(line) if line else None for line in out.splitlines()]
