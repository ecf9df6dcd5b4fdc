"""The plan of a run, in about ten lines."""

import dataclasses
from dataclasses import dataclass
from typing import Any

from gdpipe.printable import abridged, counted, printable

NAMES_SHOWN = 8


@dataclass(frozen=True, slots=True)
class RunPlan:
    """The plan of a run; it is exact where the sample is all rows (`sample_groups` = `row_groups`)."""

    source: str
    target: str
    features: tuple[str, ...]
    levels: dict[str, int]  # levels found in the sample, by feature that is a category or a product with one
    terms: int  # columns of the regression, with these levels
    folds: int  # folds of the cross-validated error; 0 where there is none
    fold_by: tuple[str, ...]  # columns that decide a row's fold; its own values do if there are none
    rows_by_fold: tuple[int, ...]  # rows of each fold; estimates
    rows_held_out: int | None  # an estimate of the rows held out of the fit; None without a holdout
    files: int
    row_groups: int  # row groups that the filters may match
    bytes: int
    file_rows: int  # rows by the footers
    rows: int  # rows that pass the filters; an estimate where there are filters
    rows_left_out: int  # an estimate of those that miss a value or have no weight
    least_left_out: int | None  # a lower bound by the footers' null counts; None where there are filters
    sample_rows: int  # rows of the sample before filters
    sample_groups: int
    condition_number: float | None  # of the sample; None where float64 cannot tell it from infinity
    method: str  # `gd` or `accelerated`
    learning_rate: float  # for the sample
    forecast_iterations: int | None  # steps until the stop rule holds; None where it never will
    max_iterations: int
    open_seconds: float  # time until the first row is read
    first_scan_seconds: float  # time to read the rows for the fit
    descent_seconds: float
    second_scan_seconds: float  # time to read the rows again for predictions
    memory_bytes: int  # memory of all processes at the peak, with interpreter and libraries
    workers: int  # threads or processes that read at once; fewer than cores where `memory` is too small for more
    processes: int  # how many of these are processes; 0 where they are threads
    batch_rows: int  # rows that each decodes at once
    dependencies: tuple[str, ...]  # dependencies among the features of the sample, one line each
    notices: tuple[str, ...]  # notices for the user, one line each

    @property
    def seconds(self) -> float:
        """The time of the run, without validation and the report, which do not grow with the rows."""
        return self.open_seconds + self.first_scan_seconds + self.descent_seconds + self.second_scan_seconds

    @property
    def is_exact(self) -> bool:
        """Whether the sample is all the rows."""
        return self.sample_groups == self.row_groups

    def as_dict(self) -> dict[str, Any]:
        """The plan as plain values, for JSON."""
        return {**dataclasses.asdict(self), "seconds": self.seconds, "is_exact": self.is_exact}


def describe(planned: RunPlan) -> str:
    """The plan as text."""
    about = "" if planned.is_exact else "about "
    passing = "" if planned.rows == planned.file_rows else f", {about}{planned.rows:,} to read by the filters"
    proven = "" if planned.least_left_out is None else f", at least {planned.least_left_out:,} by the footers"
    share = planned.rows_left_out / max(planned.rows, 1)
    steps = planned.forecast_iterations
    never = steps is None or steps > planned.max_iterations
    condition = "infinite" if planned.condition_number is None else f"{planned.condition_number:.6g}"
    who = "process" if planned.processes else "thread"
    least = "" if planned.is_exact else "at least "  # a sample may lack levels
    counts = {name: f" ({least}{counted(n, 'level')})" for name, n in planned.levels.items()}
    named = [name + counts.get(name, "") for name in planned.features]
    lines = [
        f"source      {counted(planned.files, 'file')}, {counted(planned.row_groups, 'row group')} to read, "
        f"{_size(planned.bytes)}",
        f"rows        {planned.file_rows:,}{passing}",
        f"sample      {counted(planned.sample_rows, 'row')} in {counted(planned.sample_groups, 'row group')}"
        + (": all there are" if planned.is_exact else ", spread evenly"),
        f"left out    {about}{counted(planned.rows_left_out, 'row')} ({share:.2%}){proven}",
        *_unseen_rows(planned, about),
        f"features    {len(planned.features):,} for {planned.target}: {abridged(named, NAMES_SHOWN)}",
        *([f"terms       {least}{planned.terms:,}"] if planned.levels else []),
        f"descent     {planned.method}: forecast {'never' if steps is None else counted(steps, 'step')}, "
        f"learning rate {planned.learning_rate:.6g}, condition number {condition}"
        + (f"; {counted(planned.max_iterations, 'step')} allowed: it would not converge" if never else ""),
        f"time        about {planned.seconds:.2g} s: open {planned.open_seconds:.2g}, "
        f"first scan {planned.first_scan_seconds:.2g}, descent {planned.descent_seconds:.2g}, "
        f"second scan {planned.second_scan_seconds:.2g}",
        f"memory      about {_size(planned.memory_bytes)}: {counted(planned.workers, who)}, "
        f"{counted(planned.batch_rows, 'row')} a batch at most",
    ]
    lines += [f"dependent   {line}" for line in planned.dependencies]
    lines += [f"notice      {line}" for line in planned.notices]
    return "\n".join(map(printable, lines))


def _unseen_rows(planned: RunPlan, about: str) -> list[str]:
    """The line about rows that the fit does not see; none where it sees all."""
    found = []
    if planned.folds:
        by = " and ".join(planned.fold_by) or "the rows' values"
        sizes = min(planned.rows_by_fold, default=0), max(planned.rows_by_fold, default=0)
        found.append(f"{planned.folds} folds by {by}, of {about}{sizes[0]:,} to {counted(sizes[1], 'row')}")
    if planned.rows_held_out is not None:
        found.append(f"{about}{counted(planned.rows_held_out, 'row')} held out")
    return [f"unseen rows {'; '.join(found)}"] if found else []


def _size(size: float) -> str:
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.3g} {unit}" if size < 100 else f"{size:.0f} {unit}"
        size /= 1024
    return f"{size:,.3g} TiB"
