"""Decide: what is not published leaves its evidence, and nothing else."""

import json
from pathlib import Path
from typing import Any

import pytest

from gdpipe.errors import ConvergenceError, QualityError, RejectedError
from gdpipe.stages.decide import decide
from gdpipe.store.runs import Staging
from tests.stages.build import Stages


def decided(folder: Path, **settings: Any) -> None:
    stages = Stages(folder, settings=settings)
    with Staging(folder / "runs", "r1") as staging:
        ingested, fit, _, found = stages.evident(staging)
        decide(stages.config, ingested, fit, found, staging)
        assert (Path(str(staging.folder)) / "predictions").is_dir()


def test_a_run_that_passes_is_left_as_it_is(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", "gdpipe"):
        decided(tmp_path, min_r2=0.5)
    assert any(r.message.startswith("validated: ") for r in caplog.records)
    assert not (tmp_path / "runs" / "rejected" / "r1").exists()


@pytest.mark.parametrize(
    ("settings", "kind", "reason"),
    [
        ({"method": "gd", "max_iterations": 2}, ConvergenceError, "did not pass validation: stopped after 2 steps"),
        ({"min_r2": 0.9999999}, QualityError, "did not pass the gate: cross-validated R² 0.99"),
        # the certificate speaks first
        ({"method": "gd", "max_iterations": 2, "min_r2": 1.0}, ConvergenceError, "did not pass validation"),
    ],
)
def test_a_run_that_does_not_leaves_its_evidence_without_predictions(
    tmp_path: Path, settings: dict[str, Any], kind: type[RejectedError], reason: str
) -> None:
    with pytest.raises(kind, match=reason) as caught:
        decided(tmp_path, **settings)
    evidence = Path(caught.value.evidence)
    assert evidence == tmp_path / "runs" / "rejected" / "r1"
    names = {path.name for path in evidence.iterdir()}
    assert names == {
        "manifest.json",
        "report.html",
        *(f"{n}.parquet" for n in ("parameters", "loss_history", "convergence", "metrics", "folds")),
    }
    manifest = json.loads((evidence / "manifest.json").read_text())
    assert manifest["verdict"]["passed"] == (kind is QualityError)
    assert ("forecasts" in manifest) == (kind is ConvergenceError)
