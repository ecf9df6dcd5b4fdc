"""The figures of README and tutorial, drawn from the runs that their own commands leave: `make docs-figures`."""

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

DOCS = Path(__file__).parent
sys.path.insert(0, str(DOCS.parent))

from gdpipe import train
from gdpipe.run import Run
from tests.pages import read_page

TRUE_WEIGHTS = {"x1": 2.0, "x2": -3.0, "x3": 0.5}
# those of `make run`
FLIGHTS: dict[str, Any] = {
    "source": str(DOCS.parent / "data" / "flights"),
    "target": "arr_delay",
    "features": [
        "dep_delay",
        "distance",
        "air_time",
        "carrier",
        "origin",
        "C(hour)",
        "C(month)",
        "C(weekday(time_hour))",
    ],
}
BLUE, ORANGE, GREEN, GREY = "#2563a8", "#c2570c", "#2a7d46", "#777777"
COLORS = {"small": ORANGE, "right": GREEN, "large": BLUE}
LABELS = {"small": "0.001: too small", "right": "auto: right", "large": "1.9: nearly too large"}

mpl.use("svg")
# text stays text, and the same numbers give the same bytes
mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "gdpipe", "font.family": "sans-serif", "font.size": 10})
mpl.rcParams.update({"axes.spines.top": False, "axes.spines.right": False, "lines.linewidth": 1.8})


def weights(run: Run) -> np.ndarray:
    """The coefficients of each step in the columns' units, shape (n_steps, n_features)."""
    scale = run.parameters["scale"].to_numpy()[1:]
    scaled = np.stack(run.loss_history["estimate_scaled"].to_list())
    return scaled * run.metrics["target_scale"].item() / scale


def line(run: Run, data: pd.DataFrame) -> Figure:
    """Some rows, and the line after some steps."""
    figure, axes = plt.subplots(figsize=(7, 4.2))
    some = data.iloc[:: len(data) // 400]
    axes.scatter(some["x1"], some["y"], s=5, color=GREY, alpha=0.6)
    x = np.array([0.0, 50.0])
    path, (mean, height) = weights(run)[:, 0], (run.parameters["mean"][1], run.metrics["target_mean"].item())
    for step in (0, 2, 5, 10, len(path) - 1):
        axes.plot(x, height + path[step] * (x - mean), color=BLUE if step else ORANGE)
        axes.annotate(
            f"step {step}", (50, height + path[step] * (50 - mean)), xytext=(4, -3), textcoords="offset points"
        )
    axes.set(xlabel="x1", ylabel="y", xlim=(0, 57))
    return figure


def rates(runs: dict[str, Run]) -> Figure:
    """What each step's loss lies above that of the optimum."""
    figure, axes = plt.subplots(figsize=(7, 4))
    for name, run in runs.items():
        history = run.loss_history
        excess = history["loss"] - run.convergence["ols_loss"].item()
        seen = (history["iteration"] <= 250) & (excess > 1e-12)
        axes.semilogy(
            history["iteration"][seen], excess[seen], color=COLORS[name], label=LABELS[name], marker=".", ms=3
        )
    axes.set(xlabel="step", ylabel="loss above the optimum")
    axes.legend(frameon=False, title="learning rate")
    return figure


def three_weights(runs: dict[str, Run]) -> Figure:
    """The weights of the first steps, a panel for each learning rate."""
    figure, panels = plt.subplots(1, len(runs), figsize=(9, 3.4), sharey=True)
    for axes, (name, run) in zip(panels, runs.items(), strict=True):
        path = weights(run)[:41]
        for j, (feature, true) in enumerate(TRUE_WEIGHTS.items()):
            axes.axhline(true, color=GREY, linestyle=":", linewidth=1)
            axes.plot(path[:, j], color=(BLUE, ORANGE, GREEN)[j], label=feature, marker=".", ms=3)
        axes.set(xlabel="step", title=LABELS[name])
    panels[0].set_ylabel("weight")
    panels[0].legend(frameon=False)
    return figure


def carriers(run: Run) -> Figure:
    """How much later than the reference each airline arrives, with 95 % intervals."""
    found = run.parameters.query("feature == 'carrier'").sort_values("estimate")
    figure, axes = plt.subplots(figsize=(7, 4.2))
    half = (found["ci_upper"] - found["ci_lower"]) / 2
    axes.barh(found["level"], found["estimate"], xerr=half, color=BLUE, alpha=0.7, error_kw={"lw": 1, "capsize": 2})
    axes.axvline(0, color=GREY, linewidth=1)
    axes.set(xlabel="minutes later than 9E, all else equal", ylabel="airline")
    return figure


class Surface:
    """loss(weight, bias) of a run with one feature, and the descent's path on it."""

    def __init__(self, run: Run) -> None:
        intercept, slope = run.parameters["ols_estimate"]
        mean, scale = run.parameters["mean"][1], run.parameters["scale"][1]
        floor = run.convergence["ols_loss"].item()

        def loss(weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
            # the residual is that of OLS and a line, and the two are uncorrelated
            turned, lifted = weight - slope, bias - intercept
            surface: np.ndarray = floor + (turned * scale) ** 2 + (lifted + turned * mean) ** 2
            return surface

        self.weight = weights(run)[:, 0]
        self.bias = run.metrics["target_mean"].item() - self.weight * mean
        self.end = (slope, intercept)
        self.loss = loss
        self.grid = np.meshgrid(np.linspace(-1, 5, 41), np.linspace(-60, 80, 41))

    def from_above(self) -> Figure:
        """As contours."""
        figure, axes = plt.subplots(figsize=(7, 4.6))
        levels = [10.0, 50, 200, 500, 1000, 2000, 4000, 8000]
        drawn = axes.contour(*self.grid, self.loss(*self.grid), levels=levels, colors=BLUE, linewidths=0.9)
        axes.clabel(drawn, fmt="%g", fontsize=8)
        axes.plot(self.weight, self.bias, color=ORANGE, marker=".", ms=5, linewidth=1)
        axes.annotate("start", (self.weight[0], self.bias[0]), xytext=(6, 4), textcoords="offset points")
        axes.plot(*self.end, marker="+", color="black", ms=12)
        axes.set(xlabel="weight", ylabel="bias")
        return figure


def main() -> None:
    """Run the tutorial in a temporary folder, and draw."""
    with tempfile.TemporaryDirectory() as folder:
        read_page(DOCS / "tutorial.md", Path(folder))  # which is then the working folder
        plane = Run.at("plane_runs/runs/plane")
        three = {
            "small": Run.at("three_runs/rejected/small"),
            "right": Run.at("three_runs/runs/right"),
            "large": Run.at("three_runs/runs/large"),
        }
        figures = {
            "line": line(plane, pd.concat(map(pd.read_parquet, sorted(Path("plane").glob("part-*"))))),
            "rates": rates(three),
            "weights": three_weights(three),
            "contours": Surface(plane).from_above(),
        }
        for name, figure in figures.items():
            figure.savefig(DOCS / "figures" / f"{name}.svg", bbox_inches="tight", metadata={"Date": None})
        os.chdir(DOCS)
    with tempfile.TemporaryDirectory() as folder:
        fitted = train(**FLIGHTS, output=folder)
        carriers(fitted).savefig(DOCS / "figures" / "carriers.svg", bbox_inches="tight", metadata={"Date": None})


if __name__ == "__main__":
    main()
