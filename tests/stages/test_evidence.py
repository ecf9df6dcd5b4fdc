"""Evidence: the tables of a fit, whether it passes or not."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from gdpipe.store import catalog
from gdpipe.store.runs import Staging
from tests.conftest import line_columns
from tests.stages.build import Stages


def test_every_term_has_a_row_and_those_left_out_have_no_part(tmp_path: Path) -> None:
    columns = line_columns()
    columns = {"x1": columns["x1"], "c": np.full(200, 2.0), "d": 3 * columns["x1"], **columns}
    with Staging(tmp_path / "runs", "r1") as staging:
        _, fit, _, found = Stages(tmp_path, columns, {"collinear": "drop"}).evident(staging)
        folder = Path(str(staging.folder))
        tables = {path.stem: pq.read_table(path) for path in folder.glob("*.parquet")}
    assert sorted(file.path for file in found.files) == sorted([*(f"{name}.parquet" for name in tables), "report.html"])
    assert set(tables) == {
        catalog.PARAMETERS,
        catalog.LOSS_HISTORY,
        catalog.CONVERGENCE,
        catalog.METRICS,
        catalog.FOLDS,
    }
    parameters = tables[catalog.PARAMETERS].to_pydict()
    assert parameters["term"] == ["intercept", "x1", "c", "d", "x2"]
    assert parameters["status"] == ["ok", "ok", "constant", "dependent", "ok"]
    assert parameters["estimate"] == [fit.model.intercept, *fit.model.coef]
    assert [parameters[name][2] for name in ("estimate", "estimate_scaled", "ols_estimate")] == [0, 0, 0]
    assert np.isnan([parameters["std_error"][j] for j in (2, 3)]).all()
    history = tables[catalog.LOSS_HISTORY].to_pydict()
    assert history["estimate_scaled"][-1] == [fit.solution.coef_scaled[0], 0.0, 0.0, fit.solution.coef_scaled[1]]
    [verdict] = tables[catalog.CONVERGENCE].to_pylist()
    assert verdict["rank"] == 2
    assert verdict["dependencies"] == ["c is constant (2)", "d = 3 x1 (to rounding)"]
    [quality] = tables[catalog.METRICS].to_pylist()
    assert (quality["n_features"], quality["n_samples"], quality["r2_kind"]) == (4, 200, "centred")


def test_without_an_intercept_there_is_no_row_of_it(tmp_path: Path) -> None:
    with Staging(tmp_path / "runs", "r1") as staging:
        *_, found = Stages(tmp_path, settings={"fit_intercept": False}).evident(staging)
        parameters = pq.read_table(Path(str(staging.folder)) / "parameters.parquet").to_pydict()
    assert parameters["term"] == ["x1", "x2"]
    assert found.comparison.gate is None


@pytest.mark.parametrize("passes", [True, False])
def test_a_descent_that_did_not_do_has_forecasts_of_others(tmp_path: Path, passes: bool) -> None:
    settings = {} if passes else {"method": "gd", "max_iterations": 2}
    with Staging(tmp_path / "runs", "r1") as staging:
        _, fit, _, found = Stages(tmp_path, settings=settings).evident(staging)
        html = (Path(str(staging.folder)) / "report.html").read_text()
    assert fit.certificate.passed == passes
    assert bool(found.alternatives) != passes
    assert ("What to try next" in html) != passes
