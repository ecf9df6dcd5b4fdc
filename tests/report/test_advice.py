"""What a run that was not published says to try; each suggestion is tried."""

import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gdpipe
from gdpipe.report.advice import advise
from tests.conftest import gdpipe_cli, line_columns, write_parquet


def alike(n: int = 400) -> dict[str, Any]:
    """Two features that say nearly the same, and one that does not."""
    rng = np.random.default_rng(0)
    a, c = rng.normal(size=(2, n))
    b = a + 0.01 * rng.normal(size=n)
    return {"a": a, "b": b, "c": c, "y": a + b + c + rng.normal(size=n)}


def tries(folder: Path) -> list[str]:
    shown = gdpipe_cli("show", folder)
    assert shown.code == 0, shown.err
    return [line.removeprefix("try         ") for line in shown.out.splitlines() if line.startswith("try ")]


def rejected(tmp_path: Path, columns: dict[str, Any], **settings: object) -> tuple[Path, list[str]]:
    source = write_parquet(tmp_path / "data" / "rows.parquet", columns)
    with pytest.raises(gdpipe.ConvergenceError) as caught:
        gdpipe.train(source=str(source), target="y", output=str(tmp_path / "runs"), **settings)
    return source, tries(Path(caught.value.evidence))


def test_each_suggestion_converges_as_it_says(tmp_path: Path) -> None:
    source, lines = rejected(tmp_path, alike(), max_iterations=2)
    assert len(lines) == 4
    for n, line in enumerate(lines):
        output = tmp_path / f"again{n}"
        # as pasted behind the command
        done = gdpipe_cli("train", source, "--target", "y", "--output", output, *shlex.split(line, comments=True))
        assert done.code == 0, (line, done.err)
        steps = int(re.search(r"([\d,]+) steps? \(forecast\)", line)[1].replace(",", ""))  # type: ignore[index]  # no match fails it
        assert 0.99 * steps - 1 <= gdpipe.open_run(output).convergence["iterations"][0] <= steps
    assert re.search("--exclude [ab]  # without [ab], which the other features nearly make up", " ".join(lines))
    assert "--tolerance 1e-06" in " ".join(lines)


def test_features_that_were_named_are_named_again_without_the_one(tmp_path: Path) -> None:
    columns = alike()
    columns["c,1"] = columns.pop("c")
    source, lines = rejected(tmp_path, columns, max_iterations=2, features=["a", "b", "c,1"])
    [line] = [line for line in lines if "without" in line][:1]
    assert re.search(r"--features '\[\"[ab]\", \"c,1\"\]'", line)
    done = gdpipe_cli(
        "train", source, "--target", "y", "--output", tmp_path / "again", *shlex.split(line, comments=True)
    )
    assert done.code == 0, done.err
    assert len(gdpipe.open_run(tmp_path / "again").manifest["features"]) == 2


def test_a_learning_rate_that_is_too_small_is_left_to_the_data(tmp_path: Path) -> None:
    _, lines = rejected(tmp_path, line_columns(), learning_rate=1e-4, max_iterations=100)
    assert lines[0].startswith("--method ")
    assert all("--learning-rate auto" in line for line in lines if "forecast" in line)
    assert all("--max-iterations" not in line for line in lines if "forecast" in line)


def test_dependent_columns_are_named(tmp_path: Path) -> None:
    columns = line_columns()
    _, lines = rejected(tmp_path, {**columns, "x3": columns["x1"] + columns["x2"]}, max_iterations=2)
    assert any(line.startswith("--collinear drop  # ") and "x3" in line for line in lines)
    assert not any("without" in line for line in lines)


def test_categories_with_rare_levels_take_fewer_steps_as_advised(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    # the first level, which is the reference, has 4 rows, and the last ten 3 each
    counts = [4, *[250] * 10, *[3] * 10]
    codes = np.repeat(np.arange(len(counts)), counts)
    columns = {"x": rng.normal(size=len(codes)), "y": rng.normal(size=len(codes)) + codes}
    texts = np.array([f"level {code:02d}" for code in codes])
    source, lines = rejected(tmp_path, {**columns, "c": texts}, max_iterations=2)
    reference, rare, ridge = lines[-3:]
    assert reference == (
        """--features 'x,C(c, ref="level 01")'  # level 01 has 250 rows, the reference of c now 4: fewer steps"""
    )
    assert rare.startswith("--min-level-rows 13  # joins 10 rare levels")
    assert ridge.startswith("--penalty ridge  # ")
    steps = []
    for n, options in enumerate(
        ([], shlex.split(reference, comments=True), shlex.split(rare, comments=True), shlex.split(ridge, comments=True))
    ):
        output = tmp_path / f"again{n}"
        done = gdpipe_cli("train", source, "--target", "y", "--output", output, "--method", "gd", *options)
        assert done.code == 0, done.err
        steps.append(gdpipe.open_run(output).convergence["iterations"][0])
    assert max(steps[1:]) < steps[0], steps


def test_a_tolerance_that_float64_cannot_reach_is_answered_with_one_that_it_can(tmp_path: Path) -> None:
    verdict = {"passed": False, "status": "stalled", "distance_bound": 3.1e-17}
    manifest: dict[str, Any] = {"settings": {"collinear": "min_norm"}, "dependencies": []}
    assert advise(manifest, verdict, []) == ("--tolerance 6.2e-17  # this run came within 3.1e-17 of the optimum",)


def test_values_that_hardly_vary_are_named() -> None:
    verdict = {"passed": False, "status": "converged", "distance_bound": 1e-9}
    manifest: dict[str, Any] = {"settings": {"collinear": "min_norm"}, "dependencies": []}
    terms = [
        {"term": "intercept", "status": "ok", "mean": float("nan"), "scale": float("nan")},
        {"term": "far", "status": "ok", "mean": -1e15, "scale": 1.0},
        {"term": "near", "status": "ok", "mean": 5.0, "scale": 1.0},
    ]
    lines = advise(manifest, verdict, terms)
    assert lines == ("subtract the common part of far: the values hardly vary beside their size",)


def test_the_gate_says_what_would_pass_it(tmp_path: Path) -> None:
    output = tmp_path / "runs"
    gate = ["--max-rmse-increase", "5%", "--min-r2", "0.9999"]
    nights: list[tuple[int, float, list[str]]] = [(1, 0.1, []), (2, 0.2, gate)]
    for seed, noise, options in nights:
        rng = np.random.default_rng(seed)
        x = rng.normal(size=500)
        source = write_parquet(tmp_path / f"{seed}.parquet", {"x": x, "y": x + noise * rng.normal(size=500)})
        done = gdpipe_cli("train", source, "--target", "y", "--output", output, "--run-id", f"n{seed}", *options)
    assert done.code == 1
    lines = tries(output / "rejected" / "n2")
    assert lines[0].startswith("see what has moved since run n1: ")
    options = [part for line in lines[1:] for part in shlex.split(line, comments=True)]
    assert options[::2] == ["--max-rmse-increase", "--min-r2"]
    done = gdpipe_cli("train", source, "--target", "y", "--output", output, "--run-id", "n3", *options)
    assert done.code == 0, done.err
    assert tries(output) == []
