"""A setting is declared once: what follows from one more field, beside those of `TrainingConfig`."""

from dataclasses import dataclass
from typing import Annotated, Any

import click
import pytest
from click.testing import CliRunner
from prefect import flow
from prefect.client.schemas.objects import State
from prefect.exceptions import ParameterTypeError

from flows import form
from gdpipe.cli.commands import options_of
from gdpipe.config import ScoringConfig, TrainingConfig, setting
from gdpipe.errors import ConfigError
from gdpipe.kinds import Bounds
from tests.test_reference import undocumented

SENTENCE = "Parts of the rows, for the cross-validated error. Must be a whole number from 2 up to 20."
GIVEN = {"source": "data", "target": "y"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Grown(TrainingConfig):
    """The settings of a run, and one more."""

    parts: Annotated[int, Bounds(ge=2, le=20)] = setting(5, "Parts of the rows, for the cross-validated error.")


def test_python_checks_it() -> None:
    assert Grown.of(GIVEN).parts == 5
    assert Grown.of({**GIVEN, "parts": 10}).as_dict()["parts"] == 10
    with pytest.raises(ConfigError, match=r"^parts 1: must be a whole number from 2 up to 20$"):
        Grown.of({**GIVEN, "parts": 1})
    with pytest.raises(ConfigError, match=r"unknown setting 'part'.*'parts'"):
        Grown.of({**GIVEN, "part": 1})


def test_the_command_line_has_it_with_its_sentence_and_default() -> None:
    @click.command(context_settings={"show_default": True})
    @options_of(Grown)
    def command(**settings: Any) -> None:
        click.echo(Grown.of(settings).parts)

    help_text = " ".join(CliRunner().invoke(command, ["--help"]).output.split())
    assert f"--parts VALUE {SENTENCE} [default: 5]" in help_text
    assert CliRunner().invoke(command, ["data", "--target", "y"]).output == "5\n"
    assert CliRunner().invoke(command, ["data", "--target", "y", "--parts", "7"]).output == "7\n"
    refused = CliRunner().invoke(command, ["data", "--target", "y", "--parts", "7.5"]).output
    assert "Invalid value for '--parts': parts '7.5': must be a whole number from 2 up to 20" in refused


def test_the_form_has_it_with_its_bounds() -> None:
    @flow
    @form.takes(Grown)
    def grown(credentials: str | None = None, **settings: Any) -> State[Any]:
        """Do nothing."""
        raise NotImplementedError

    fields = grown.parameters.model_dump()["properties"]
    assert list(fields)[-3:] == ["run_id", "parts", "credentials"]
    assert fields["parts"] == {
        "title": "parts",
        "type": "integer",
        "minimum": 2,
        "maximum": 20,
        "default": 5,
        "description": SENTENCE,
        "position": len(fields) - 2,
    }
    assert grown.validate_parameters({**GIVEN, "parts": 7})["parts"] == 7
    with pytest.raises(ParameterTypeError, match="parts"):
        grown.validate_parameters({**GIVEN, "parts": 1})


def test_the_docs_lack_it_until_its_row_is_there() -> None:
    assert undocumented(Grown) == [
        "| `parts` | 5 | a whole number from 2 up to 20 | Parts of the rows, for the cross-validated error |"
    ]


def test_scoring_has_the_types_of_training() -> None:
    trained, scored = (declared.__dataclass_fields__ for declared in (TrainingConfig, ScoringConfig))
    shared = [name for name in scored if name in trained]
    assert shared == ["source", "output", "key", "filters", "memory", "engine", "workers", "run_id"]
    for name in shared:
        assert scored[name].type == trained[name].type, name
        assert scored[name].metadata == trained[name].metadata, name
