"""The commands, with an option for each setting and help by examples."""

import dataclasses
import logging
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import click
import numpy as np

from gdpipe.cli.completion import completion_of, files
from gdpipe.cli.ends import Commands
from gdpipe.cli.terminal import answer, bar, can_draw, json_option, log_to, print_json, print_text, say, terminal_width
from gdpipe.config import PenaltySetting, ScoringConfig, Settings, TrainingConfig, described
from gdpipe.engine import open_executor
from gdpipe.errors import ConfigError, PublishError, RejectedError
from gdpipe.history import history, listed
from gdpipe.kinds import Alpha, checked
from gdpipe.layout import REJECTED, RUNS
from gdpipe.location import is_mistyped, is_uri, shown
from gdpipe.pipeline import score_source, train
from gdpipe.printable import counted, printable
from gdpipe.report.plan import describe
from gdpipe.report.summary import table_lines
from gdpipe.run import Run, open_run
from gdpipe.stages.plan import SAMPLE_ROWS, plan
from gdpipe.stages.progress import listening, log_lines, silence
from gdpipe.stages.simulate import Simulation, simulate
from gdpipe.store.pruning import prune
from gdpipe.store.runs import place_at

EXAMPLES = """Parquet in, a linear regression that can be trusted out.

\b
gdpipe simulate demo --weights 2,-3,0.5     # dummy data: 100,000 rows in 4 files
gdpipe plan demo --target y                 # what a run would find and cost
gdpipe train demo --target y                # into runs/
gdpipe show                                 # the latest run in runs/
gdpipe show --json                          # the same for a program
gdpipe runs                                 # all runs in runs/, with their errors
gdpipe verify                               # its files against their checksums
gdpipe predict demo                         # score with it, into scores/
"""
NOTES = """\b
Exit codes: 0 published; 1 rejected, the evidence is kept; 2 a setting is wrong;
3 the input cannot be used; 4 the output could not be written, or has no run;
70 an unforeseen error; 130 interrupted by Ctrl-C; 143 ended by SIGTERM.

\b
Completion, in ~/.bashrc: eval "$(_GDPIPE_COMPLETE=bash_source gdpipe)"
(zsh_source and fish_source for these shells)
"""
TRAIN_EXAMPLES = """\b
gdpipe train demo --target y --features x1,x2 --filters '[["x1", "<", 25]]' --no-latest
gdpipe train demo --target y --learning-rate 0.1 --method gd --run-id slow --no-latest
gdpipe train demo --target y --max-rmse-increase 5% --json
"""
# dialects that are tested; sqlglot has more
DIALECTS = ("duckdb", "postgres", "spark", "bigquery")

Command = Callable[..., None]


def options_of(declared: type[Settings]) -> Callable[[Command], Command]:
    """A decorator that gives a command an argument `source`, and an option for each other setting."""

    def give(command: Command) -> Command:
        for item in reversed(dataclasses.fields(declared)):
            if item.name != "source":
                command = _option(item)(command)
        return click.argument("source", shell_complete=files)(command)

    return give


def _option(item: "dataclasses.Field[Any]") -> Callable[[Command], Command]:
    name = item.name.replace("_", "-")
    more: dict[str, Any] = {"help": described(item)}
    if item.default is dataclasses.MISSING:
        more["required"] = True
    else:
        more["default"] = None if item.default == () else item.default
    if complete := completion_of(item.type):
        more["shell_complete"] = complete
    if item.type is bool:
        return click.option(f"--{name}/--no-{name}", **more)
    if get_origin(item.type) is Literal:
        return click.option(f"--{name}", type=click.Choice(get_args(item.type)), **more)

    def read(context: click.Context, option: click.Parameter, given: Any) -> Any:
        try:
            return checked(item.name, item.type, given, of_text=True) if isinstance(given, str) else given
        except ConfigError as error:
            raise click.BadParameter(str(error), context, option) from error

    return click.option(f"--{name}", type=click.UNPROCESSED, metavar="VALUE", callback=read, **more)


@click.group(
    cls=Commands,
    help=EXAMPLES,
    epilog=NOTES,
    context_settings={"help_option_names": ["-h", "--help"], "show_default": True},
)
@click.version_option(package_name="gdpipe")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.option("--quiet", is_flag=True, help="Print nothing but errors.")
@click.pass_context
def main(context: click.Context, debug: bool, quiet: bool) -> None:
    """Set up signals, log lines and progress for all commands."""
    # SIGTERM raises SystemExit, so that unfinished work is removed
    before = signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    context.call_on_close(lambda: signal.signal(signal.SIGTERM, before))
    log_to(sys.stdout)
    logging.getLogger("gdpipe").setLevel(logging.WARNING if quiet else logging.INFO)
    context.with_resource(listening(silence if quiet else bar if can_draw() else log_lines))


@main.command("train", epilog=TRAIN_EXAMPLES)
@json_option
@options_of(TrainingConfig)
def train_command(in_json: bool, **settings: Any) -> None:
    """Fit the Parquet in SOURCE and publish parameters, loss history, predictions and the verdict."""
    try:
        run = train(TrainingConfig.of(settings))
    except RejectedError as error:
        if in_json:
            answer(Run.at(error.evidence), in_json)
        raise
    answer(run, in_json)


@main.command("plan")
@click.option("--sample-rows", default=SAMPLE_ROWS, type=click.IntRange(1), help="About as many rows are read.")
@json_option
@options_of(TrainingConfig)
def plan_command(sample_rows: int, in_json: bool, **settings: Any) -> None:
    """Say what training on SOURCE would find and cost, from footers and a sample; nothing is written."""
    # log lines of stages would be about the sample, and are not JSON
    logging.getLogger("gdpipe").setLevel(logging.WARNING)
    with open_executor() as executor:
        planned = plan(TrainingConfig.of(settings), executor, sample_rows)
    if in_json:
        print_json(planned.as_dict())
    else:
        say(describe(planned))


@main.command("refit")
@click.argument("run", default="runs")
@click.option("--files", help="A pattern of the names of files whose rows are fitted; all of the run if not given.")
@click.option("--features", help="Some of the run's features, such as a,log(b); all if not given.")
@click.option("--penalty", type=click.Choice(get_args(PenaltySetting)), help="Another penalty; the run's if not given.")
@click.option("--alpha", help="Its strength: a number, auto or auto_1se.")
@click.option("--l1-ratio", type=float, help="The lasso's part of elastic_net, from 0 (ridge) to 1 (lasso).")
@json_option
def refit_command(run: str, files: str | None, in_json: bool, **settings: Any) -> None:
    """Fit RUN (an output folder, or one run's) with other settings, from the sums kept; no row is read."""
    given = {name: value for name, value in settings.items() if value is not None}
    if "alpha" in given:
        given["alpha"] = checked("alpha", Alpha, given["alpha"], of_text=True)
    found = open_run(run).refit(files, **given)
    if in_json:
        tables = {name: table.to_pylist() for name, table in found.tables().items()}
        print_json({"files": list(found.files), "metrics": found.metrics(), **tables})
    else:
        say(found.summary())


@main.command("predict")
@json_option
@options_of(ScoringConfig)
def predict_command(in_json: bool, **settings: Any) -> None:
    """Score the Parquet in SOURCE with a published run; where the target is there too, say how far off it is."""
    answer(score_source(**settings), in_json)


@main.command("sql")
@click.argument("run", default="runs", shell_complete=files)
@click.option("--dialect", type=click.Choice(DIALECTS), default=DIALECTS[0], help="Who is to read it.")
@click.option("--table", help="Print a query of this table, as a FROM clause names it, instead of the expression.")
@click.option(
    "--unseen",
    type=click.Choice(["null", "reference"]),
    default="null",
    help="The prediction of a row with a level that the fit has not seen: null, or that of the reference.",
)
def sql_command(run: str, dialect: str, table: str | None, unseen: str) -> None:
    """Print the model of RUN (an output folder, or one run's) as a SELECT expression."""
    from gdpipe.export import as_sql

    opened = open_run(run)
    model = dataclasses.replace(opened.model, unseen_as_reference=unseen == "reference")
    # exact on a terminal, too: a name with another character is another name
    print_text(as_sql(model, opened.manifest, dialect, table), exact=True)


@main.command("show")
@click.argument("output", default="runs", shell_complete=files)
@json_option
def show_command(output: str, in_json: bool) -> None:
    """Print the latest run or scores in OUTPUT, or the run (also a rejected one) in that folder."""
    answer(Run.at(output), in_json)


@main.command("runs")
@click.argument("output", default="runs", shell_complete=files)
@json_option
def runs_command(output: str, in_json: bool) -> None:
    """List the runs in OUTPUT, the newest first: published, rejected and damaged ones, and which is the latest."""
    found = history(place_at(output))
    if in_json:
        print_json({"output": shown(output), "runs": [run.as_dict() for run in found]})
    else:
        say("\n".join(table_lines(listed(found), terminal_width())))


@main.command("verify")
@click.argument("output", default="runs", shell_complete=files)
@json_option
def verify_command(output: str, in_json: bool) -> None:
    """Check every file of the latest run in OUTPUT (or of that run) against the manifest's checksums."""
    run = Run.at(output)
    damaged = run.verify()
    if in_json:
        files = len(run.manifest["files"])
        print_json({"run_id": run.run_id, "folder": run.location, "files": files, "damaged": damaged})
    if damaged:
        raise PublishError(f"{run.location}: {'; '.join(damaged)}")
    if not in_json:
        say(f"{printable(run.location)}: {counted(len(run.manifest['files']), 'file')}, every checksum holds")


@main.command("prune")
@click.argument("output", default="runs", shell_complete=files)
@click.option("--keep", required=True, type=click.IntRange(1), help="How many runs stay; the latest is one of them.")
@click.option("--rejected", is_flag=True, help="Also keep only so many rejected runs.")
def prune_command(output: str, keep: int, rejected: bool) -> None:
    """Remove the oldest runs in OUTPUT, never the latest, nor one that is being written."""
    place = place_at(output)
    for kind in (RUNS, REJECTED) if rejected else (RUNS,):
        removed = prune(place, keep, kind)
        lines = [f"{len(removed)} removed from {place.below(kind)}", *(f"  {run_id}" for run_id in removed)]
        say("\n".join(map(printable, lines)))


@main.command("simulate")
@click.argument("folder", type=click.Path(file_okay=False))
@click.option("--weights", help="True weights, as 2,-3,0.5; drawn from a normal distribution if not given.")
@click.option("--features", default=3, type=click.IntRange(1), help="How many, where no weights are given.")
@click.option("--bias", default=4.0, help="True intercept.")
@click.option("--noise", default=1.0, help="Standard deviation of the noise.")
@click.option("--rows", default=100_000, help="In all files together.")
@click.option("--files", default=4, help="How many to write.")
@click.option("--low", default=0.0, help="Least feature value.")
@click.option("--high", default=50.0, help="Largest feature value.")
@click.option("--seed", default=0, help="The same seed makes the same data.")
def simulate_command(folder: str, weights: str | None, features: int, **settings: Any) -> None:
    """Write the classic dummy data into FOLDER: y = bias + weights . x + noise, with the truth beside it."""
    if is_uri(folder) or is_mistyped(folder):
        raise ConfigError(f"folder {shown(folder)!r}: simulate writes to disks only; name a folder on this machine")
    if settings["seed"] < 0:
        raise ConfigError(f"seed {settings['seed']}: must be 0 or more")
    if weights is None:
        drawn = np.random.default_rng(settings["seed"]).normal(0.0, 2.0, features).round(2).tolist()
    else:
        try:
            drawn = [float(w) for w in weights.split(",")]
        except ValueError:
            raise ConfigError(f"weights {weights!r}: must be numbers, as 2,-3,0.5") from None
    written = simulate(Simulation(weights=drawn, **settings), Path(folder))
    truth = [{"term": "intercept", "value": settings["bias"]}]
    truth += [{"term": f"x{j + 1}", "value": w} for j, w in enumerate(drawn)]
    made = f"{counted(settings['rows'], 'row')} in {counted(len(written), 'file')} in {printable(folder)}"
    say("\n".join([made, *table_lines(truth)]))
