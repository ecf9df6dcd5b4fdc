"""Fit: the forecast is told before the descent, and the descent takes it."""

import re
from pathlib import Path

import pytest

from gdpipe.errors import ConfigError
from gdpipe.numerics.descent.descent import Status
from gdpipe.stages.fit import fit
from gdpipe.stages.progress import Activity, listening
from tests.stages.build import Stages


def test_the_forecast_that_is_logged_is_what_the_descent_takes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO", "gdpipe"):
        *_, solution = Stages(tmp_path).descended()
    assert solution.status is Status.CONVERGED
    [line] = [r.message for r in caplog.records if r.message.startswith("descent: ")]
    forecast = re.fullmatch(r"descent: gd, learning rate [\d.]+, condition number [\d.]+, forecast (\d+) steps", line)
    assert forecast, line
    assert abs(int(forecast[1]) - solution.iterations) <= 2


def test_a_sample_is_held_to_the_standard_errors_of_all_rows(tmp_path: Path) -> None:
    stages = Stages(tmp_path, settings={"tolerance": 1e-3})
    _, regression, few = stages.descended()
    many = fit(stages.config, regression, 200e12)
    assert many.plan.stop_gradient_norm < few.plan.stop_gradient_norm
    assert many.iterations > few.iterations


def test_steps_are_told_as_they_are_made_and_at_most_so_many(tmp_path: Path) -> None:
    seen: list[Activity] = []

    def listener(activity: Activity):  # type: ignore[no-untyped-def]  # a context manager, as stages.progress has it
        import contextlib

        seen.append(activity)
        return contextlib.nullcontext(lambda: None)

    stages = Stages(tmp_path, settings={"method": "gd", "learning_rate": 1e-6, "max_iterations": 1000})
    _, regression = stages.posed()
    with listening(listener):
        assert fit(stages.config, regression).status is Status.MAX_ITERATIONS
    assert (seen[0].done, seen[0].total) == (1000, 1000)


def test_a_learning_rate_that_would_diverge_is_no_descent(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"learning_rate 3 would diverge: it must be below 2/L = 1\."):
        Stages(tmp_path, settings={"learning_rate": 3.0}).descended()
