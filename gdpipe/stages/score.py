"""Score: predict rows that no fit has seen, and compare the predictions with the target where it is known."""

import math
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import asdict, dataclass, replace
from typing import Any

from gdpipe.config import Unseen
from gdpipe.design import Design
from gdpipe.errors import SchemaError
from gdpipe.model import Model
from gdpipe.numerics.rows.prediction_error import PredictionError
from gdpipe.printable import counted, logger_named
from gdpipe.source.budget import Budget
from gdpipe.source.inputs import why_unfit
from gdpipe.source.scan import Shard
from gdpipe.source.source import Source
from gdpipe.stages.columns import Columns, check_key
from gdpipe.stages.scan.predict_shard import PredictShard, no_target
from gdpipe.stages.scan.row_sums import by_column
from gdpipe.stages.scan.rows_again import ScoreSums
from gdpipe.stages.scanned import scanned
from gdpipe.store import catalog
from gdpipe.store.runs import Staging
from gdpipe.store.writer import WrittenFile, write_table

logger = logger_named(__name__)

# levels in a notice
SHOWN_LEVELS = 5
# the share of rows with levels that the fit has not seen from which on the model no longer fits the data
MANY = 0.05


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """The results of scoring.

    Attributes:
        inputs: The source columns that the model reads, as often as it reads them.
        files: The parts of predictions, in input order; an empty part where there is no row.
        sums: Over the rows.
        notices: What a person should know, one line each.
    """

    inputs: tuple[str, ...]
    files: tuple[WrittenFile, ...]
    sums: ScoreSums
    notices: tuple[str, ...]

    def about(self, trained: dict[str, Any]) -> dict[str, Any]:
        """The entries of the manifest; `trained` is the model's row of `metrics`, and says which R² the scores have."""
        sums = self.sums
        error = asdict(PredictionError.of(sums.errors, centred=trained["r2_kind"] == "centred"))
        # a mean without the rows that overflowed would be better than the model
        numbers = dict.fromkeys(("r2", "rmse", "mae")) if sums.overflowed else error
        names = ("n_samples", "r2", "r2_kind", "rmse", "mae")
        return {
            "rows": {
                "read": sums.read,
                "predicted": sums.predicted,
                "left_out": sums.read - sums.predicted,
                "null": by_column(self.inputs, sums.missing),
                **sums.unseen.as_dict(),
            },
            "metrics": _finite({**error, "r2_kind": trained["r2_kind"], **numbers}, names),
            "training_metrics": _finite(trained, names),
        }


def check_columns(design: Design, key: Sequence[str], source: Source) -> None:
    """Check that the columns are there, of the kinds that the model was fitted with, and that the key fits too.

    Raises:
        ConfigError: Predictions have a column of the key's name.
        SchemaError: A column is not there, or is of another kind.
    """
    source.check_columns(design.columns, "feature")
    check_key(key, source)
    for of in design.inputs:
        for kind, path in source.types(of.column):
            if needs := why_unfit(kind, of, design.zones.get(of.column)):
                raise SchemaError(f"{path}: column {of.column!r} is {kind}; the model needs {needs}")


def score(
    model: Model,
    source: Source,
    shards: Sequence[Shard],
    columns: Columns,
    staging: Staging,
    budget: Budget,
    executor: Executor,
    unseen: Unseen = "null",
) -> Scored:
    """Write predictions of every row, in input order, one part a shard; compare with the target where a file has it.

    Raises:
        DataError: A file is damaged, was changed meanwhile, or a feature is infinite; or `unseen` is `fail`, and the
            fit has not seen a level.
        PublishError: A part cannot be written.
    """
    keys = [source.unified(name) for name in columns.key]
    model = replace(model, unseen_as_reference=unseen == "reference")
    work = PredictShard(
        source, columns, keys, model, staging.folder, staging.run_id, budget, None, unseen_fails=unseen == "fail"
    )
    files, sums = [], ScoreSums.zero(len(model.design.inputs))
    for part in scanned(work, shards, executor, "predicted"):
        files.append(part.file)
        sums = sums + part.scores if part.scores else sums
    for file in source.files:
        if file.wanted_groups:
            source.check_as_listed(file)
    if not shards:  # an empty part, so that readers find the columns
        empty = catalog.predictions_schema(keys, staging.run_id).empty_table()
        files.append(write_table(staging.folder, f"{catalog.PREDICTIONS}/part-00000.parquet", empty))
    notices = (*_unseen_notices(sums, unseen), *_notices(source, columns.target, sums))
    for notice in notices:
        logger.info(notice)
    return Scored(tuple(of.column for of in model.design.inputs), tuple(files), sums, notices)


def _unseen_notices(sums: ScoreSums, unseen: Unseen) -> list[str]:
    """A line for each category with levels that the fit has not seen; where they are many, also what to do."""
    notices = []
    for name, rows in sums.unseen.rows.items():
        levels = sums.unseen.levels[name]
        most = sorted(levels, key=lambda level: (-levels[level], level))[:SHOWN_LEVELS]
        named = ", ".join(f"{level} in {counted(levels[level], 'row')}" for level in most)
        if (rest := rows - sum(levels[level] for level in most)) > 0:
            named += f", others in {counted(rest, 'row')}"
        so = "predicted as the reference" if unseen == "reference" else "without a prediction"
        share = rows / sums.read
        many = f"; {share:.0%} of all rows: train again with such rows" if share > MANY else ""
        notices.append(f"{name}: levels that the fit has not seen in {counted(rows, 'row')}, {so} ({named}){many}")
    return notices


def _notices(source: Source, target: str, sums: ScoreSums) -> tuple[str, ...]:
    reasons: dict[str, list[str]] = {}
    for file in source.files:
        if file.wanted_groups and (reason := no_target(source, file, target)):
            reasons.setdefault(reason, []).append(file.name)
    notices = [
        f"no residuals: the target {target!r} {reason} in {names[0]}"
        + (f" and {counted(len(names) - 1, 'more file')}" if len(names) > 1 else "")
        for reason, names in reasons.items()
    ]
    if sums.overflowed:
        lost = counted(sums.overflowed, "row")
        notices.append(f"no RMSE, R² and MAE: the residuals of {lost} are too large for float64")
    return tuple(notices)


def _finite(row: dict[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """These columns of a row for JSON: None in place of NaN and infinite numbers."""
    return {n: None if isinstance(row[n], float) and not math.isfinite(row[n]) else row[n] for n in names}
