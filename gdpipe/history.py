"""The runs of an output, one after the other."""

import contextlib
import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

from gdpipe.errors import PublishError
from gdpipe.layout import REJECTED, RUNS
from gdpipe.report.card import HELD_OUT, verdict_of
from gdpipe.run import Run
from gdpipe.store import catalog
from gdpipe.store.place import Place
from gdpipe.store.runs import latest_run_id
from gdpipe.store.writer import output_errors

# runs that are read at once: in an object store each is two requests
READ_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class PastRun:
    """A run of an output, as a list shows it; None where a run has no such number, or cannot be read.

    Attributes:
        run_id: The run's name.
        created: When it was made, in UTC, as in the manifest.
        target: The column it predicts.
        rows: Rows fitted; of scores, rows read.
        r2: Share of the target's variance explained.
        rmse: Root mean squared error, in target units.
        cv_rmse: The same on rows of each fold, by the fit without it.
        holdout_rmse: The same on the rows held out.
        verdict: passed, not passed, gate not passed, or scored; damaged where it cannot be read.
        latest: Whether `latest.json` names it.
        folder: Its folder or URI, without credentials.
    """

    run_id: str
    created: str | None
    target: str | None
    rows: int | None
    r2: float | None
    rmse: float | None
    cv_rmse: float | None
    holdout_rmse: float | None
    verdict: str
    latest: bool
    folder: str

    def as_dict(self) -> dict[str, Any]:
        """The run as plain values, for JSON."""
        return asdict(self)


def history(output: Place) -> list[PastRun]:
    """The published and the rejected runs of an output, the newest first.

    Raises:
        PublishError: `latest.json` is damaged, the output cannot be read, or there is no run in it.
    """
    latest = latest_run_id(output)
    with output_errors(f"cannot read {output}"):
        folders = [output.below(f"{kind}/{run_id}") for kind in (RUNS, REJECTED) for run_id in output.folders(kind)]
    if not folders:
        raise PublishError(f"{output}: no run there, neither published nor rejected; give the output of a run")
    with ThreadPoolExecutor(READ_AT_ONCE) as pool:
        found = list(pool.map(lambda folder: _past_run(folder, latest), folders))
    return sorted(found, key=lambda run: (run.created or "", run.run_id), reverse=True)


def _past_run(folder: Place, latest: str | None) -> PastRun:
    kind, _, run_id = folder.inside.rpartition("/")
    manifest: dict[str, Any] | None = None
    numbers: dict[str, Any] = {}
    verdict = "damaged"
    with contextlib.suppress(PublishError):  # `gdpipe verify` says what is wrong with it
        run = Run(folder)
        manifest = run.manifest
        is_training = manifest["kind"] == "training"
        numbers = run.table(catalog.METRICS).to_pylist()[0] if is_training else manifest.get("metrics", {})
        verdict = verdict_of(manifest)
    rows = (manifest or {}).get("rows", {})
    return PastRun(
        run_id,
        manifest["created"] if manifest else None,
        manifest.get("target") if manifest else None,
        rows.get("used", rows.get("read")),
        **{name: _finite(numbers.get(name)) for name in ("r2", "rmse", *HELD_OUT)},
        verdict=verdict,
        latest=kind == RUNS and run_id == latest,
        folder=str(folder),
    )


def _finite(value: Any) -> float | None:
    return float(value) if value is not None and math.isfinite(value) else None


def listed(runs: list[PastRun]) -> list[dict[str, Any]]:
    """The runs as rows of a table for people; without columns for held-out errors where no run has one."""
    held_out = [name for name in HELD_OUT if any(getattr(run, name) is not None for run in runs)]
    return [
        {
            "run": run.run_id,
            "verdict": f"{run.verdict}, latest" if run.latest else run.verdict,
            "rows": None if run.rows is None else f"{run.rows:,}",
            "R²": run.r2,
            "RMSE": run.rmse,
            **{name: getattr(run, name) for name in held_out},
            "made (UTC)": (run.created or "")[:16].replace("T", " ") or None,
            "target": run.target,
        }
        for run in runs
    ]
