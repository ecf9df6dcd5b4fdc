"""report.html: every picture there, its numbers right, nothing fetched, small at any width of the data."""

import json
import math
import re
import subprocess
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

import gdpipe
from gdpipe.numerics.rows.density import DensityAccumulator, DensityGrid
from gdpipe.printable import printable
from gdpipe.report.advice import advise
from gdpipe.report.pictures.axes import picture, text
from gdpipe.report.pictures.bars import Bar, bars
from gdpipe.report.pictures.ticks import number
from gdpipe.report.residuals import about_fit
from tests.conftest import gdpipe_cli, line_columns, write_parquet
from tests.report.browser import CHROMIUM, QUIET

EVERYWHERE = {
    "Predicted against actual",
    "Residuals against predictions",
    "Residuals and the normal curve",
    "Quantiles of the residuals",
    "Standardized coefficients with 95% intervals",
    "Spectrum of the correlation matrix",
    "Rows used and left out by reason",
    "Loss at each step",
    "Loss above the optimum, measured and forecast",
    "Cost contours from above",
}
BY_FEATURE = {"Partial residuals by x1", "Partial residuals by x2"}  # of `line_columns`
DRIFT = {"Drift of means", "Drift of scales", "Drift of coefficients"}


def train(tmp_path: Path, columns: dict[str, Any], *options: object, run_id: str = "a") -> Path:
    """The page of a run, published or not."""
    source = tmp_path / "data" / "rows.parquet"
    write_parquet(source, columns)
    gdpipe_cli("train", source, "--target", "y", "--output", tmp_path / "runs", "--run-id", run_id, *options)
    return next((tmp_path / "runs").glob(f"r*/{run_id}/report.html"))


def body(page: Path) -> ET.Element:
    """What the page shows; an error if it is not well-formed."""
    found = re.search("<body>.*</body>", page.read_text(encoding="utf-8"), re.DOTALL)
    assert found
    return ET.fromstring(found[0])  # noqa: S314  # our own


def pictures(page: Path) -> dict[str, ET.Element]:
    """By name."""
    drawn = [svg for svg in body(page).iter("svg") if svg.get("role") == "img"]
    titles = [title.text or "" for svg in drawn if (title := svg.find("title")) is not None]
    assert len(titles) == len(drawn) == len(set(titles))
    return dict(zip(titles, drawn, strict=True))


def said(picture: ET.Element) -> str:
    """What a screen reader says."""
    return picture.get("aria-label") or ""


def run_advice(run: gdpipe.Run) -> tuple[str, ...]:
    """The lines of advice."""
    [verdict], terms = (run.table(name).to_pylist() for name in ("convergence", "parameters"))
    return advise(run.manifest, verdict, terms)


def cells(picture: ET.Element) -> int:
    """Cells drawn: a stroke is as long as the cells it stands for, and an overlap."""
    drawn = [path.get("d", "") for group in picture.iter("g") if group.get("class") == "cell" for path in group]
    return sum(math.floor(float(length)) for d in drawn for length in re.findall(r"h([\d.]+)", d))


# every kind of character that XML forbids, or that means something in it
HOSTILE = (
    "\x00\x01\x1b]0;t\x07",
    "a\nb\r\t\x0b",
    "<b>&amp;'\"</svg>",
    "]]><!--",
    "\x7f\x85\x9b",
    "\u202e\u2028\ufffe\uffff",
)


@given(st.text(st.characters(exclude_categories=()) | st.sampled_from("\x00\x1b<&>'\"\ufffe\ud800")))
def test_any_text_can_stand_in_a_picture(said: str) -> None:
    drawn = picture([text(0.0, 0.0, said)], said, said)
    bar = bars([Bar(said, 1.0, said)], said, said)
    for svg in (ET.fromstring(drawn), ET.fromstring(bar)):  # noqa: S314  # our own
        title = svg.find("title")
        assert title is not None
        assert (title.text or "") == printable(said)


@pytest.mark.parametrize("many", [True, False])
def test_pictures_are_valid_xml_whatever_the_names(many: bool, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    names = HOSTILE if many else HOSTILE[:1]  # one alone is drawn over weight and bias
    x = dict(zip(names, rng.normal(size=(len(names), 50)), strict=True))
    target = "y\x1b<\x00"
    source = tmp_path / "da\x1b<ta" / "rows.parquet"
    for shift, run_id in enumerate("ab"):  # the second has drift
        write_parquet(source, {**x, "c\x02": np.full(50, shift), target: sum(x.values()) + shift + rng.normal(size=50)})
        gdpipe.train(source=str(source), target=target, output=str(tmp_path / "runs"), run_id=run_id)
    page = tmp_path / "runs" / "runs" / "b" / "report.html"
    drawn = pictures(page)
    assert set(drawn) >= DRIFT | {"Cost contours from above"}
    names_drawn = {node.text for node in drawn["Standardized coefficients with 95% intervals"].iter("title")}
    for name in names:
        assert any(printable(name) in (said or "") for said in names_drawn)
    assert not re.search(r"[^\n -~\xa0-\U0010ffff]|[\u202e\u2028\ufffe]", page.read_text(encoding="utf-8"))


# what is there


def test_every_picture_is_there_and_says_what_it_shows(tmp_path: Path) -> None:
    drawn = pictures(train(tmp_path, line_columns()))
    assert set(drawn) == EVERYWHERE | BY_FEATURE
    for title, svg in drawn.items():
        assert said(svg).startswith(f"{title}. ")
        assert len(said(svg)) > len(title) + 10
        numbers = re.findall(r"nan|inf\b", ET.tostring(svg, encoding="unicode").replace("infin", ""))
        assert not numbers, title


def test_a_second_run_has_the_drift(tmp_path: Path) -> None:
    train(tmp_path, line_columns())
    drawn = pictures(train(tmp_path, line_columns(seed=1), run_id="b"))
    assert set(drawn) == EVERYWHERE | BY_FEATURE | DRIFT
    drift = gdpipe.open_run(tmp_path / "runs").drift.set_index("term")
    for term in ("x1", "x2", "y"):
        assert f"{term} {drift['mean_shift_sd'][term]:+.3g}".replace("-", "−") in said(drawn["Drift of means"])
        assert f"{term} × {drift['scale_ratio'][term]:.3g}" in said(drawn["Drift of scales"])


def test_a_rejected_run_has_the_same_pictures_and_what_to_try(tmp_path: Path) -> None:
    page = train(tmp_path, line_columns(), "--max-iterations", "2")
    assert page.parent.parent.name == "rejected"
    assert set(pictures(page)) == EVERYWHERE | BY_FEATURE
    text = "".join(body(page).itertext())
    assert "Not published: the descent did not reach the best line." in text
    assert "What to try next:" in text
    # one fit a table: what stands beside the standard errors is the exact answer, and t their quotient
    run = gdpipe.open_run(page.parent)
    [table] = [
        [[cell.text or "" for cell in row] for row in table.iter("tr")]
        for table in body(page).iter("table")
        if "unfinished estimate" in "".join(table.itertext())
    ]
    assert table[0][:4] == ["term", "ols_estimate", "std_error", "t_value"]
    for row, exact, stopped in zip(table[1:], run.parameters["ols_estimate"], run.parameters["estimate"], strict=True):
        assert float(row[1]) == pytest.approx(exact, rel=1e-5)
        assert float(row[1]) / float(row[2]) == pytest.approx(float(row[3]), rel=1e-4)
        assert float(row[-1]) == pytest.approx(stopped, rel=1e-5)
    # R² of the descent beside that of exact fits, which is higher
    assert "R² and RMSE above are of the unfinished descent, the cross-validated ones of exact fits without" in text
    assert run.metrics["cv_r2"].item() > run.metrics["r2"].item()
    assert "Predictions, residuals and the rows below are those of the unfinished descent." in text
    # options are code, as they are typed, each in a piece
    [tries] = [[code.text for code in item.iter("code")] for item in list(body(page).iter("li"))[:1]]
    assert tries == run_advice(run)[0].split("  # ")[0].split()
    # the forecast goes on where the descent stopped
    forecast = gdpipe.open_run(page.parent).convergence["forecast_iterations"][0]
    assert said(pictures(page)["Loss above the optimum, measured and forecast"]).endswith(f"forecast: {forecast} steps")


@pytest.mark.parametrize("name", ["x", "intercept"])
def test_the_cost_of_one_feature_is_drawn_over_coefficient_and_intercept(name: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x = rng.uniform(0, 50, 500)
    columns = {name: x, "y": 4 + 2 * x + rng.normal(size=500)}
    drawn = pictures(train(tmp_path, columns, "--learning-rate", "0.2"))
    # one direction has no spectrum, and the fitted line shows what partial residuals would
    assert set(drawn) == EVERYWHERE - {"Spectrum of the correlation matrix"} | {"Data and the fitted line"}
    weight, bias = np.polyfit(x, columns["y"], 1)
    equation = f"y = {number(bias)} + {number(weight)} · {name}"
    assert said(drawn["Data and the fitted line"]).endswith(f"500 rows; {equation}")
    assert {f"coefficient of {name}", "intercept"} <= {
        label.text for label in drawn["Cost contours from above"].iter("text")
    }
    residual = columns["y"] - weight * x - bias
    ends = f"From loss {columns['y'].var():.4g} at the start to {np.mean(residual**2):.4g} at the optimum"
    assert ends in said(drawn["Cost contours from above"])


# numbers


def test_four_rows_by_hand(tmp_path: Path) -> None:
    # y = 3 a + 4 b + 5 on a square, and one row that is left out
    a, b = np.array([1.0, 1.0, -1.0, -1.0, 1.0]), np.array([1.0, -1.0, 1.0, -1.0, np.nan])
    drawn = pictures(train(tmp_path, {"a": a, "b": b, "y": 5 + 3 * a + 4 * np.nan_to_num(b)}))
    assert "read 5, used 4, b null 1" in said(drawn["Rows used and left out by reason"])
    assert "b 0.8, a 0.6" in said(drawn["Standardized coefficients with 95% intervals"])
    assert "2 eigenvalues from 1 to 1" in said(drawn["Spectrum of the correlation matrix"])
    assert "From 25 to" in said(drawn["Loss at each step"])
    # predictions are exact: each row is a cell of its own, on the line
    assert "4 rows, 4 of them in cells on the line" in said(drawn["Predicted against actual"])
    assert cells(drawn["Predicted against actual"]) == 4


def test_the_densities_show_the_rows_used(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    columns = line_columns(3_000)
    columns["x1"][rng.random(3_000) < 0.1] = np.nan
    columns["w"] = rng.integers(0, 3, 3_000).astype(float)
    page = train(tmp_path, columns, "--weight", "w")
    run = gdpipe.open_run(tmp_path / "runs")
    shown = run.predictions[(columns["w"] > 0) & run.predictions["residual"].notna()]
    used = run.manifest["rows"]["used"]
    assert len(shown) == used < 3_000
    # the same cells, counted from what was published
    mean = np.average(shown["target"], weights=columns["w"][shown.index])
    grid = DensityGrid(mean, run.metrics["target_scale"][0], run.metrics["rmse"][0])
    counter = DensityAccumulator(grid)
    counter.add(*(shown[name].to_numpy() for name in ("prediction", "target", "residual")))
    density = counter.counts()
    drawn = pictures(page)
    for name, counts in (
        ("Predicted against actual", density.targets),
        ("Residuals against predictions", density.residuals),
    ):
        assert f"{used:,} rows" in said(drawn[name])
        assert cells(drawn[name]) == (counts > 0).sum()
    assert "A row counts once, whatever its weight." in "".join(body(page).itertext())


def test_the_pictures_are_the_same_however_the_rows_are_cut(tmp_path: Path) -> None:
    columns = line_columns(5_000)
    whole = train(tmp_path / "1", columns)
    write_parquet(tmp_path / "2" / "data" / "rows.parquet", columns, row_group_size=777)
    cut = {"source": str(tmp_path / "2" / "data"), "target": "y", "output": str(tmp_path / "2" / "runs")}
    other = gdpipe.train(**cut, memory="8MiB", run_id="a")
    assert pq.read_metadata(tmp_path / "2" / "data" / "rows.parquet").num_row_groups == 7
    drawn = [[ET.tostring(svg) for svg in pictures(p).values()] for p in (whole, other.folder / "report.html")]
    assert drawn[0] == drawn[1]


def test_rows_that_were_not_read_again_are_said_not_to_be_shown() -> None:
    assert "no pictures" in about_fit(None, {"used": 9}, "y", weighted=False)
    counter = DensityAccumulator(DensityGrid(0.0, 1.0, 1.0))
    counter.add(np.zeros(3), np.ones(3), np.ones(3))
    some = about_fit(counter.counts(), {"used": 9}, "y", weighted=False)
    assert "Predicted rows alone, 3 of 9 used." in some


def test_a_descent_that_starts_at_the_optimum_has_no_surface_and_nothing_is_said_of_one(tmp_path: Path) -> None:
    a, b = np.array([1.0, 1.0, -1.0, -1.0]), np.array([1.0, -1.0, 1.0, -1.0])
    page = train(tmp_path, {"a": a, "b": b, "y": 5 + a * b})
    assert "Cost contours from above" not in pictures(page)
    assert "cost surface" not in "".join(body(page).itertext())


# any data


@pytest.mark.parametrize(
    "options", [(), ("--no-fit-intercept",), ("--collinear", "drop")], ids=["plain", "no intercept", "drop"]
)
def test_odd_data_are_drawn_too(options: tuple[str, ...], tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=50)
    cases: dict[str, dict[str, Any]] = {
        "perfect": {"x": x, "y": 2 * x},
        "hopeless": {"x": x, "y": rng.normal(size=50)},
        "dependent": {"x": x, "twice": 2 * x, "seven": np.full(50, 7.0), "y": x + rng.normal(size=50)},
        "large": {"x": 1e140 * x, "y": 1e140 * rng.normal(size=50)},
        "small": {"x": 1e-140 * x, "y": 1e-140 * rng.normal(size=50)},
        "few": {"x": x[:2], "z": x[2:4], "y": x[4:6]},
        "names": {'<b>&"': x, "y": x + rng.normal(size=50)},
    }
    for name, columns in cases.items():
        page = train(tmp_path / name, columns, *options)
        drawn = pictures(page)
        assert {"Predicted against actual", "Rows used and left out by reason", "Loss at each step"} <= set(drawn), name
        for svg in drawn.values():
            assert not re.search(r"\b(nan|inf)\b", ET.tostring(svg, encoding="unicode")), name


def test_a_constant_target_without_an_intercept_has_pictures_whatever_its_sums(tmp_path: Path) -> None:
    columns = {"x": np.array([1.0, 2.0, 4.0]), "y": np.full(3, 0.1)}  # whose variance float64 makes less than 0
    for arithmetic in ("exact", "float64"):
        page = train(tmp_path / arithmetic, columns, "--no-fit-intercept", "--arithmetic", arithmetic)
        assert "Predicted against actual" in pictures(page)


def test_every_row_is_accounted_for_and_a_filter_reads_as_it_is_given(tmp_path: Path) -> None:
    page = train(tmp_path, line_columns() | {"x1": [math.nan, *line_columns()["x1"][1:]]}, "--holdout", "x2 > 1")
    run = gdpipe.open_run(tmp_path / "runs")
    rows, text = run.manifest["rows"], "".join(body(page).itertext())
    assert rows["held_out"]
    assert rows["used"] + rows["held_out"] + rows["left_out"] == rows["read"]
    drawn = said(pictures(page)["Rows used and left out by reason"])
    assert f"read {rows['read']:,}, used {rows['used']:,}, held out {rows['held_out']:,}, x1 null 1" in drawn
    assert f"1 of {rows['read']:,} rows were left out, {rows['held_out']:,} held out of the fit." in text
    assert f"({run.metrics['holdout_rows'].item():,} rows held out)" in text
    assert 'holdout[["x2", ">", 1' in text


def test_partial_residuals_of_a_dozen_numbers_are_drawn_and_that_there_are_more_is_said(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 14))
    columns = {f"x{j:02}": X[:, j] for j in range(14)}
    page = train(tmp_path, {**columns, "who": ["a", "b", "c"] * 100, "y": X @ np.arange(14.0) + rng.normal(size=300)})
    drawn = [title for title in pictures(page) if title.startswith("Partial residuals by")]
    assert drawn == [f"Partial residuals by x{j:02}" for j in range(2, 14)]
    text = "".join(body(page).itertext())
    assert "Of 14 terms that are numbers, the 12 with the largest standardized coefficients are drawn." in text


def test_levels_of_weekdays_say_which_day_is_0(tmp_path: Path) -> None:
    days = np.arange("2026-01-05", "2026-04-15", dtype="M8[D]")
    columns = {"day": days, "y": np.random.default_rng(0).normal(size=100)}
    page = train(tmp_path, columns, "--features", "C(weekday(day))")
    text = "".join(body(page).itertext())
    assert "On the right the rows of each level. 0\xa0is Monday." in text
    # the ends of the coefficients with their levels, which are numbers too
    assert re.search(r"from -0\.\d+ \(\d\) to \d\.\d+ \(\d\)", text)


def test_a_page_of_a_dozen_features_with_drift_is_below_200_kb(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for run_id in "ab":
        X = rng.normal(size=(20_000, 12))
        columns = {f"x{j}": X[:, j] for j in range(12)}
        page = train(tmp_path, {**columns, "y": X.sum(axis=1) + rng.standard_t(3, size=20_000)}, run_id=run_id)
    assert page.stat().st_size < 200_000
    assert "Since run a: R²" in "".join(body(page).itertext())


def test_a_page_of_256_features_is_small(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(600, 256))
    columns = {f"a_feature_with_a_long_name_{j:03}": X[:, j] for j in range(256)}
    page = train(tmp_path, {**columns, "y": X @ rng.normal(size=256) + rng.normal(size=600)}, "--folds=0")
    assert page.stat().st_size < 3_000_000
    assert "The 232 smallest are not drawn." in "".join(body(page).itertext())


# the browser


def test_nothing_is_fetched_and_nothing_is_run(tmp_path: Path) -> None:
    page = train(tmp_path, line_columns()).read_text(encoding="utf-8")
    assert not re.search(r"<(script|link|iframe|img|object|embed)|@import|url\(|https?:|\bon\w+=|\b(src|href)=", page)


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
def test_a_browser_shows_it_without_a_request_or_an_error(tmp_path: Path) -> None:
    page = train(tmp_path, line_columns())
    log = tmp_path / "net.json"
    alone = "--host-resolver-rules=MAP * ~NOTFOUND"  # the browser's own curiosity leads nowhere
    done = subprocess.run(
        [
            str(CHROMIUM),
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            *QUIET,
            alone,
            "--enable-logging=stderr",
            f"--user-data-dir={tmp_path / 'profile'}",
            f"--log-net-log={log}",
            "--dump-dom",
            page.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert "CONSOLE" not in done.stderr
    shown = re.findall(r'<svg viewBox="[^"]*" role="img" aria-label="([^".]*)', done.stdout)
    assert set(shown) == EVERYWHERE | BY_FEATURE
    events = json.loads(log.read_text(encoding="utf-8"))["events"]
    # what the browser asks on its own account has no page as its initiator
    initiated = [
        e["params"] for e in events if e.get("params", {}).get("initiator", "not an origin") != "not an origin"
    ]
    assert not [params for params in initiated if str(params.get("url", "")).startswith(("http", "ws", "//"))]


def test_of_a_penalized_run_that_did_not_pass_the_page_says_where_its_estimates_are_from(tmp_path: Path) -> None:
    page = train(tmp_path, line_columns(), "--penalty=ridge", "--max-iterations=1", "--method=gd")
    assert page.parent.parent.name == "rejected"
    text = "".join(body(page).itertext())
    assert "The descent did not end at the optimum: bars and tables are of the estimates where it stopped." in text


def test_a_p_value_below_what_float64_holds_is_not_0(tmp_path: Path) -> None:
    x, name = np.arange(2_000.0), "Ann of the first of the farms on the long lane"
    columns = {"x": x, "who": [name, "Cy"] * 1_000}
    page = train(tmp_path, {**columns, "y": x + 1e-3 * np.sin(x) + np.tile([0.0, 9.0], 1_000)})
    tables = {cell.text for cell in body(page).iter("td")}
    run = gdpipe.open_run(tmp_path / "runs")
    assert 0 in run.parameters["p_value"].tolist()
    assert "< 1e-300" in tables
    text = "".join(body(page).itertext())
    # long names of levels keep both ends
    assert f"2 levels, reference {name[:20]}…{name[-19:]}, F " in text
    assert "p < 1e-300, from " in text


def test_a_penalized_run_is_shown_without_intervals_and_tests(tmp_path: Path) -> None:
    columns = {**line_columns(), "who": ["a", "b", "c", "d"] * (len(line_columns()["y"]) // 4)}
    page = train(tmp_path, columns, "--penalty=lasso", "--alpha=0.01")
    drawn = pictures(page)
    assert {"Standardized coefficients", "Levels of who"} <= drawn.keys()
    text = "".join(body(page).itertext())
    assert "95%" not in text
    assert "reference a, from " in text
    assert not [node for svg in drawn.values() for node in svg.iter() if node.get("class") == "whisker"]
