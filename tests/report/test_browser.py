"""Pages as a browser lays them out: no text cut or over another, pictures in line, tables with hints, shades."""

import re
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import gdpipe_cli, write_parquet
from tests.report.browser import CHROMIUM, measured

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Runs whose numbers are large, tiny, of one feature, of categories with drift, penalized, and not published."""
    folder, rng = tmp_path_factory.mktemp("pages"), np.random.default_rng(0)
    x, z = rng.normal(size=(2, 800))
    noise = rng.normal(size=800)
    columns = {
        "large": {"x": 1e6 * x, "z": z, "y": 4e6 + 1e6 * x + 1e5 * noise},
        "tiny": {"x": x, "z": z, "y": -3e-7 + 1e-7 * x + 1e-8 * noise},
        "single": {"size_of_the_house_in_square_feet": x, "y": 250_000 + 90_000 * x + 30_000 * noise},
        "levels": {"x": x, "who": rng.choice(["Ann", "a_rather_long_name_of_a_level", "Cy"], 800), "y": x + noise},
    }
    found = {}
    # with no place to break it
    rows = {name: folder / f"{name}_rows_in_a_folder_of_a_rather_long_name" for name in columns}
    for name, of in columns.items():
        write_parquet(rows[name] / "rows.parquet", of)
        run = ("train", rows[name], "--target=y", "--output", folder / "runs" / name, "--force")
        for run_id in ("before", name) if name == "levels" else (name,):
            gdpipe_cli(*run, "--run-id", run_id)
        found[name] = folder / "runs" / name / "runs" / name / "report.html"
    rejected = ("--output", folder / "short", "--max-iterations=1", "--method=gd", "--run-id=short")
    gdpipe_cli("train", rows["large"], "--target=y", *rejected)
    lasso = ("--output", folder / "lasso", "--penalty=lasso", "--alpha=auto", "--run-id=lasso")
    gdpipe_cli("train", rows["levels"], "--target=y", *lasso)
    found["penalized"] = folder / "lasso" / "runs" / "lasso" / "report.html"
    return {**found, "rejected": folder / "short" / "rejected" / "short" / "report.html"}


def light(colour: str) -> float:
    """The lightness of a colour as the browser says it, from 0 to 1."""
    parts = [float(part) for part in re.findall(r"[\d.]+", colour.replace("color(srgb", ""))[:3]]
    return sum(parts) / (3 if colour.startswith("color") else 3 * 255)


@pytest.mark.parametrize(("width", "dark"), [(390, True), (1280, False)], ids=["phone, dark", "desk, light"])
@pytest.mark.parametrize("name", ["large", "tiny", "single", "levels", "penalized", "rejected"])
def test_every_text_can_be_read(pages: dict[str, Path], name: str, width: int, dark: bool, tmp_path: Path) -> None:
    found = measured(pages[name], width, dark=dark, folder=tmp_path)
    assert found["cut"] == []
    assert found["over"] == []
    assert found["overflow"] == 0
    assert found["uneven"] == 0
    assert found["unscaled"] == 0
    assert found["broken"] == []
    assert found["pairs"] == 0
    assert found["unhinted"] == 0
    assert found["wide"] > 0 or width > 390
    # the stronger the colour, the farther from the paper, in the light and in the dark
    away = [abs(light(found[shade]) - light(found["paper"])) for shade in ("weak", "strong")]
    assert away[0] < away[1]
    assert (light(found["paper"]) < 0.5) == dark
