"""Settings of other programs lead to what there is here: in Python, on the command line, in the flow's script."""

import string
from pathlib import Path

import pytest

import gdpipe
from gdpipe import other_names
from gdpipe.other_names import answer
from tests.conftest import gdpipe_cli
from tests.test_config import DEFAULTS

KNOWN = {name: name for name in [*DEFAULTS, "source", "target", "run"]}


@pytest.mark.parametrize(
    ("option", "leads_to"),
    [
        ("--test-size", "--holdout"),
        ("--epochs", "--max-iterations"),
        ("--lr", "--learning-rate"),
        ("--ridge", "penalty"),
        ("--normalize", "standardized"),
        ("--seed", "random"),
        ("--n-jobs", "--workers"),
        ("--input", "SOURCE"),
    ],
)
def test_an_unknown_option_leads_to_what_there_is(option: str, leads_to: str, tmp_path: Path) -> None:
    done = gdpipe_cli("train", tmp_path, "--target", "y", option, "1")
    assert done.code == 2
    assert done.err.startswith(f"gdpipe: No such option '{option}': ")
    assert leads_to in done.err
    assert done.err.count("\n") == 1


def test_an_option_of_another_command_is_not_promised(tmp_path: Path) -> None:
    done = gdpipe_cli("predict", tmp_path, "--epochs", "3")
    assert done.code == 2
    assert "max-iterations" not in done.err


def test_in_python_the_settings_have_their_names_there() -> None:
    with pytest.raises(gdpipe.ConfigError, match=r"unknown setting 'max_iter': max_iterations is the most steps"):
        gdpipe.train(source="a", target="y", max_iter=3)


def test_every_answer_names_settings_that_there_are() -> None:
    named = {
        field
        for _, answers in other_names._ANSWERS
        for each in answers
        for _, field, _, _ in string.Formatter().parse(each)
        if field
    }
    assert named <= KNOWN.keys()
    every = [name for names, _ in other_names._ANSWERS for name in names.split()]
    assert len(set(every)) == len(every)
    for name in every:
        assert name in KNOWN or answer(name, KNOWN)


def test_the_first_answer_whose_settings_there_are_is_given() -> None:
    assert "holdout" in str(answer("test_size", {"holdout": "holdout", "folds": "folds"}))
    assert "filters" in str(answer("--test-size", {"filters": "--filters"}))
    assert answer("test_size", {}) is None
    assert answer("nonsense", KNOWN) is None
