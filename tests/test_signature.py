"""The signature of `gdpipe.train`, which help and completion show."""

import dataclasses
import inspect
from pathlib import Path

import pytest

import gdpipe
from tests.conftest import FLIGHTS


def test_the_settings_are_the_parameters_with_their_defaults() -> None:
    parameters = inspect.signature(gdpipe.train).parameters
    fields = {item.name: item for item in dataclasses.fields(gdpipe.TrainingConfig)}
    assert list(parameters) == list(fields)
    for name, item in fields.items():
        wanted = inspect.Parameter.empty if item.default is dataclasses.MISSING else item.default
        assert parameters[name].default is wanted
        by_name = inspect.Parameter.KEYWORD_ONLY if name != "source" else inspect.Parameter.POSITIONAL_OR_KEYWORD
        assert parameters[name].kind is by_name
    assert "max_iterations: int = 100000" in str(inspect.signature(gdpipe.train))
    assert "Bounds" not in str(inspect.signature(gdpipe.train))


def test_the_help_has_each_sentence() -> None:
    text = inspect.getdoc(gdpipe.train)
    assert text is not None
    assert "    learning_rate: Step size of the descent, below 2/L; auto finds the best." in text
    assert text.index("Args:") < text.index("Raises:")


def test_it_is_found_where_names_are_completed() -> None:
    assert {"train", "open_run", "TrainingConfig"} <= set(dir(gdpipe))


def test_the_source_needs_no_name_and_all_else_does(tmp_path: Path) -> None:
    run = gdpipe.train(str(FLIGHTS), target="arr_delay", features=["dep_delay"], output=str(tmp_path))
    assert run.manifest["settings"]["source"] == str(FLIGHTS)
    for settings in ({}, {"source": "b", "target": "y"}):
        with pytest.raises(gdpipe.ConfigError, match="train takes one source, and all other settings by name"):
            gdpipe.train(*["a", "y"][: 2 - len(settings) // 2], **settings)
