"""Numbers beside axes: in the picture, told apart, not over each other."""

import itertools
import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gdpipe.report.pictures.axes import RIGHT, WIDTH, Axis, Frame, within
from gdpipe.report.pictures.letters import cut_to, text_width
from gdpipe.report.pictures.ticks import number, tick_labels


@pytest.mark.parametrize(
    ("ticks", "shown"),
    [
        ([0.0, 0.5, 1.0], ["0", "0.5", "1.0"]),
        ([-50.0, 0.0, 50.0], ["−50", "0", "50"]),
        ([0.0, 20_000.0, 40_000.0], ["0", "20,000", "40,000"]),
        ([0.0, 100_000.0], ["0", "100k"]),
        ([-500_000.0, 0.0, 500_000.0], ["−500k", "0", "500k"]),
        ([1.0e6, 1.5e6], ["1.0M", "1.5M"]),
        ([4_000_000.0, 4_000_100.0], ["4.0000M", "4.0001M"]),
        ([-4e-7, -2e-7, 0.0], ["−4·10⁻⁷", "−2·10⁻⁷", "0"]),
        ([2e9, 2.5e9], ["2.0·10⁹", "2.5·10⁹"]),
        ([], []),
    ],
)
def test_ticks_share_a_unit_and_are_told_apart(ticks: list[float], shown: list[str]) -> None:
    assert tick_labels(ticks) == shown


def test_powers_of_ten_are_written_each_by_itself() -> None:
    assert tick_labels([0.1, 1.0, 10.0, 1e6], logarithmic=True) == ["0.1", "1", "10", "10⁶"]
    assert tick_labels([1.0, 2.0, 5.0], logarithmic=True) == ["1", "2", "5"]
    assert tick_labels([1.0, 10.0], logarithmic=True) == ["1", "10"]


ends = st.floats(-1e12, 1e12, allow_nan=False).flatmap(
    lambda low: st.floats(1e-9, 1e12).map(lambda width: (low, low + max(width, abs(low) * 1e-9)))
)


@given(ends, ends, st.text(max_size=60))
def test_no_number_and_no_label_leaves_the_picture(
    across: tuple[float, float], up: tuple[float, float], name: str
) -> None:
    assume(across[0] < across[1] and up[0] < up[1])
    frame = Frame(Axis(*across, name), Axis(*up, name))
    assert frame.left < WIDTH - RIGHT
    for _, said in frame.y.labelled():
        assert frame.left - 6 - text_width(said) >= 0
    end = -math.inf
    for value, said in frame._along():  # the drawn ones are among the text of the SVG
        middle, half = within(frame.across(value), said), text_width(said) / 2
        assert middle - half >= 0
        assert middle + half <= WIDTH
        assert middle - half > end
        end = middle + half
    for labels in (frame.x.labelled(), frame.y.labelled()):
        assert all(before != after for (_, before), (_, after) in itertools.pairwise(labels))


def test_long_names_keep_both_ends() -> None:
    assert cut_to("short", 100) == "short"
    cut = cut_to("a_feature_with_a_long_name_042", 100)
    assert text_width(cut) <= 100
    assert cut.startswith("a_f")
    assert cut.endswith("042")
    assert cut_to("wide", 1) == "…"


def test_a_number_alone_has_four_digits() -> None:
    assert [number(v) for v in (0.0, -1234.5, 123_456.0, 3e-7, -1e9, math.inf)] == [
        "0",
        "−1,234",
        "123,456",
        "3·10⁻⁷",
        "−10⁹",
        "∞",
    ]
