"""Numbers beside axes: in the picture, told apart, not over each other."""

import itertools
import math
import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gdpipe.report.pictures.axes import RIGHT, WIDTH, Axis, Frame, beside_each_other, within
from gdpipe.report.pictures.bars import Bar, bars
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


@given(ends, ends, st.text(max_size=60), st.booleans())
def test_no_number_and_no_label_leaves_the_picture(
    across: tuple[float, float], up: tuple[float, float], name: str, descending: bool
) -> None:
    assume(across[0] < across[1] and up[0] < up[1])
    frame = Frame(Axis(*across, name, descending=descending), Axis(*up, name))
    assert frame.left < WIDTH - RIGHT
    for _, said in frame.y.labelled():
        assert frame.left - 6 - text_width(said) >= 0
    end = -math.inf
    for value, said in beside_each_other(frame.x, frame.across):
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


def test_a_descending_axis_begins_with_its_high_end() -> None:
    axis = Axis(1.0, 100.0, "alpha", logarithmic=True, descending=True)
    assert [axis.place(v) for v in (100.0, 10.0, 1.0)] == pytest.approx([0, 0.5, 1])
    assert [said for _, said in beside_each_other(axis, Frame(axis, Axis(0, 1, "")).across)] == ["100", "10", "1"]


def test_an_axis_may_have_marks_of_its_own() -> None:
    assert Axis(-3.0, 3.0, "", marks=(-3.0, 0.0, 3.0)).labelled() == [(-3.0, "−3"), (0.0, "0"), (3.0, "3")]


def test_bars_have_a_scale_where_their_numbers_are_others() -> None:
    shown = [Bar("b", -1.0, "9,999", (-1.4, -0.6)), Bar("a", 0.0, "12", note="reference")]
    scaled = bars(shown, "Levels", "minutes", scaled=True)
    marks = re.findall(r'<text x="([\d.]+)" y="[\d.]+" class="mid">([^<]+)<', scaled)
    assert [said for _, said in marks] == ["−1.0", "−0.5", "0"]
    [(left, right)] = re.findall(r'class="bar" x="([\d.]+)" y="11" width="([\d.]+)"', scaled)
    # the bar reaches from its mark to that of 0
    assert [float(left), float(left) + float(right)] == pytest.approx([float(marks[0][0]), float(marks[2][0])], abs=0.2)
    # there is no room to the right of zero
    assert re.search(r'class="end">reference<', scaled)
    assert "a (reference): 12" in scaled
    assert "mid" not in bars(shown, "Levels", "minutes").replace("label mid", "")
    for length in (0.0, 5e-324, 1e308):  # without a range, or with one that float64 cannot divide
        bars([Bar("a", length, "1"), Bar("b", -length, "1")], "", "", scaled=True)
