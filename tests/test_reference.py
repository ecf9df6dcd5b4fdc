"""What docs/files.md, docs/settings.md and docs/command-line.md list is what there is."""

import dataclasses
import re
import shutil
import signal
import subprocess
from pathlib import Path

import pyarrow as pa
import pytest
import sqlglot

import gdpipe
from gdpipe.cli.commands import NOTES
from gdpipe.cli.ends import EXIT_CODES
from gdpipe.config import Settings, TrainingConfig
from gdpipe.exits import INTERRUPTED, UNFORESEEN
from gdpipe.kinds import in_words
from gdpipe.store import catalog
from tests.conftest import FEATURES, FLIGHTS, REPO, gdpipe_cli

FILES, SETTINGS, COMMANDS = (REPO / "docs" / f"{page}.md" for page in ("files", "settings", "command-line"))


def section(page: Path, heading: str) -> str:
    """What stands below a heading, to the next one of its level."""
    text = page.read_text(encoding="utf-8")
    level = heading.partition(" ")[0]
    found = re.search(rf"^{re.escape(heading)}\n(.*?)(?=^{level} |\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, f"{page.name}: no {heading}"
    return found[1]


def rows(text: str) -> list[list[str]]:
    """The cells of the first table, its head left out."""
    lines = text[text.index("| --- |") :].split("\n\n", maxsplit=1)[0].splitlines()[1:]
    return [[cell.strip().replace(r"\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


# the files


def listed(schema: pa.Schema) -> list[list[str]]:
    return [
        [
            f"`{field.name}`",
            str(field.type).replace("element: ", "").replace("item: ", ""),
            field.metadata[b"unit"].decode(),
            field.metadata[b"meaning"].decode(),
        ]
        for field in schema
    ]


def as_markdown(table: list[list[str]]) -> str:
    return "\n".join("| " + " | ".join(cell.replace("|", r"\|") for cell in row) + " |" for row in table)


ARTIFACTS = (
    *(catalog.PARAMETERS, catalog.LOSS_HISTORY, catalog.CONVERGENCE, catalog.METRICS, catalog.DRIFT),
    *(catalog.FEATURES, catalog.LEVELS, catalog.PREDICTIONS, catalog.TRUE_PARAMETERS),
)


@pytest.mark.parametrize("artifact", ARTIFACTS)
def test_the_page_on_files_has_every_column_as_the_files_say_it(artifact: str) -> None:
    predictions = artifact == catalog.PREDICTIONS
    schema = catalog.predictions_schema([], "") if predictions else catalog.schema(artifact, "")
    expected = listed(schema)
    found = rows(section(FILES, f"### {artifact}"))
    assert found == expected, f"docs/files.md, {artifact}, should be\n{as_markdown(expected)}"


def test_the_page_on_files_has_what_a_penalty_changes_as_the_files_say_it(data: Path, tmp_path: Path) -> None:
    gdpipe.train(source=str(data), target="y", output=str(tmp_path / "runs"), penalty="ridge", alpha=0.1, report=False)
    run = gdpipe.open_run(tmp_path / "runs")
    changed = [
        [f"`{name}.{field.name}`", field.metadata[b"meaning"].decode()]
        for name in catalog.ARTIFACTS
        if run.has(name) and name != catalog.PREDICTIONS
        for field in run.table(name).schema
        if field.metadata != catalog.schema(name, "").field(field.name).metadata
    ]
    page = FILES.read_text(encoding="utf-8")
    assert rows(page[page.index("In a run with a [penalty]") :]) == changed


def test_the_page_on_files_lists_every_file_and_key_of_the_manifest(data: Path, output: Path) -> None:
    run = gdpipe.train(source=str(data), target="y", output=str(output), min_r2=0.1, holdout="x1 > 1")
    page = FILES.read_text(encoding="utf-8")
    for file in (*run.folder.iterdir(), output / "latest.json"):
        assert file.name in page, file.name
    keys = {name for cell, _ in rows(section(FILES, "### manifest.json")) for name in re.findall(r"`(\w+)`", cell)}
    assert keys == set(run.manifest) | {"scored_with", "forecasts", "metrics", "training_metrics"}


# settings, exit codes, errors


DEFAULTS_IN_WORDS = {"features": "all that can be used but target, key, weight", "run_id": "from time and settings"}


def undocumented(declared: type[Settings]) -> list[str]:
    """The rows of docs/settings.md that differ from the declaration; a sentence may have links in it, and go on."""
    found = {row[0].strip("`"): row[1:] for row in rows(section(SETTINGS, "# Settings"))}
    lacking = []
    for item in dataclasses.fields(declared):
        default = {"None": "none", "()": "none", "True": "true", "False": "false"}.get(
            str(item.default), str(item.default)
        )
        default = "required" if item.default is dataclasses.MISSING else DEFAULTS_IN_WORDS.get(item.name, default)
        sentence = item.metadata["help"].removesuffix(".")
        shown, allowed, meaning = found.get(item.name, ("", "", ""))
        plain = re.sub(r"\[([^]]*)]\([^)]*\)", r"\1", meaning).replace("`", "")
        says = plain.startswith(re.sub(r'"(month [<=]+ \d+)"', r"\1", sentence))  # in code there, not in quotes
        if (shown.strip("`"), allowed, says) != (default, in_words(item.type), True):
            lacking.append(f"| `{item.name}` | {default} | {in_words(item.type)} | {sentence} |")
    return lacking


def test_the_page_on_settings_has_each_with_its_default_bounds_and_sentence() -> None:
    assert undocumented(TrainingConfig) == []
    listed = [row[0].strip("`") for row in rows(section(SETTINGS, "# Settings"))]
    assert listed == [item.name for item in dataclasses.fields(TrainingConfig)]


def test_the_page_on_the_command_line_has_every_command_and_exit_code() -> None:
    page = COMMANDS.read_text(encoding="utf-8")
    shown = gdpipe_cli("--help").out.partition("Commands:\n")[2].partition("\n\n")[0]
    for command in re.findall(r"^  (\w+) ", shown, re.MULTILINE):
        assert f"`gdpipe {command}" in page, command
    codes = {int(row[0]): row[1] for row in rows(section(COMMANDS, "## Exit codes and errors"))}
    assert set(codes) == {0, *EXIT_CODES.values(), UNFORESEEN, INTERRUPTED, 128 + signal.SIGTERM}
    readme = (REPO / "README.md").read_text(encoding="utf-8")
    for code in set(codes):
        assert re.search(rf"\b{code}\b", NOTES), code
        assert f"\n| {code} |" in readme, code
    for error, code in EXIT_CODES.items():
        assert f"`{error.__name__}`" in codes[code]


# readers that the tests' environment need not have


def block(language: str, heading: str) -> str:
    found = re.search(rf"^```{language}\n(.*?)^```$", section(FILES, heading), re.MULTILINE | re.DOTALL)
    assert found
    return found[1]


@pytest.fixture
def flights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the run that the page's queries read, as the working folder."""
    gdpipe.train(
        source=str(FLIGHTS), target="arr_delay", features=FEATURES, output=str(tmp_path / "runs"), run_id="flights"
    )
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_spark_answers_the_queries_of_the_page(flights: Path) -> None:
    sql = pytest.importorskip("pyspark.sql", reason="needs PySpark and Java, which are not part of the tests' lock")
    spark = sql.SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").getOrCreate()
    try:
        queries = [query for query in block("sql", "### Spark SQL").split(";") if query.strip()]
        terms, errors = (spark.sql(query).collect() for query in queries)
    finally:
        spark.stop()
    assert [row.term for row in terms] == ["intercept", *FEATURES]
    assert errors[0].n == 336776


def test_the_queries_for_spark_are_sparks_sql() -> None:
    assert len(sqlglot.parse(block("sql", "### Spark SQL"), read="spark")) == 2


def test_r_answers_the_query_of_the_page(flights: Path) -> None:
    if not shutil.which("Rscript"):
        pytest.skip("needs R with the packages arrow, dplyr and jsonlite")
    script = flights / "query.R"
    script.write_text(block("r", "### R"))
    done = subprocess.run(["Rscript", script], capture_output=True, text=True, check=True)
    assert "intercept" in done.stdout
