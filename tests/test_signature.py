"""The signature of `gdpipe.train`, which help and completion show."""

import dataclasses
import inspect
from collections.abc import Sequence
from types import NoneType
from typing import Any, get_args

import pytest

import gdpipe


def test_the_settings_are_the_parameters_with_their_defaults() -> None:
    parameters = inspect.signature(gdpipe.train).parameters
    fields = {item.name: item for item in dataclasses.fields(gdpipe.TrainingConfig)}
    assert list(parameters) == list(fields)
    for name, item in fields.items():
        wanted = inspect.Parameter.empty if item.default is dataclasses.MISSING else item.default
        assert parameters[name].default is wanted
        assert parameters[name].kind is inspect.Parameter.KEYWORD_ONLY
    assert "max_iterations: int = 100000" in str(inspect.signature(gdpipe.train))
    assert "Bounds" not in str(inspect.signature(gdpipe.train))
    assert get_args(parameters["filters"].annotation) == (Sequence[Sequence[Any]], str, NoneType)
    with pytest.raises(TypeError, match=r"^train\(\) takes 0 positional arguments"):
        gdpipe.train("data")  # type: ignore[call-arg]  # as people try first


def test_the_help_has_each_sentence() -> None:
    text = inspect.getdoc(gdpipe.train)
    assert text is not None
    assert "    learning_rate: Step size of the descent, below 2/L; auto finds the best." in text
    assert text.index("Args:") < text.index("Raises:")


def test_it_is_found_where_names_are_completed() -> None:
    assert {"train", "open_run", "TrainingConfig"} <= set(dir(gdpipe))
