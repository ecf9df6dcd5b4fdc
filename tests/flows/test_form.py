"""The form that a deployment shows: the schema of the flows' parameters."""

import json
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # Prefect brings it, without types
import pytest
from prefect import Flow
from prefect.exceptions import ParameterTypeError

from flows.names import window
from flows.score import score
from flows.train import train

# what a location may hold, and what it may not: by the form and by the flow itself
PLACES = ["s3://bucket/a@b", "data/a@b", "s3://b/x?region=eu&scheme=http", "s3://h:9000/x", "file:///a@b", "./a:b@c"]
WITH_CREDENTIALS = [
    "s3://key:secret@bucket/data",
    "s3://key:sec/ret@bucket/data",
    "s3://key:secret",
    "s3:///key:secret@bucket",
    "s3://bucket/x?session_token=secret",
    "s3://bucket/x?region=eu&client_secret=secret",
]


def properties(flow: Flow[..., Any]) -> dict[str, Any]:
    found: dict[str, Any] = flow.parameters.model_dump()["properties"]
    return found


@pytest.mark.parametrize("flow", [train, score])
def test_every_field_has_its_name_and_a_description(flow: Flow[..., Any]) -> None:
    for name, field in properties(flow).items():
        assert field["title"] == name
        assert field.get("description"), name


@pytest.mark.parametrize("flow", [train, score])
def test_every_field_is_typed_and_no_text_may_be_empty(flow: Flow[..., Any]) -> None:
    for name, field in properties(flow).items():
        for kind in field.get("anyOf", [field]):
            assert "type" in kind or "const" in kind, name
            if kind.get("type") == "string" and "const" not in kind and "enum" not in kind:
                assert "minLength" in kind or "pattern" in kind, name


@pytest.mark.parametrize(
    ("setting", "right", "wrong"),
    [
        ("learning_rate", ["auto", 0.5], [0, -1, "fast"]),
        ("tolerance", [1e-8], [0, "small"]),
        ("max_iterations", [1, 10**9], [0, 10**9 + 1, 1.5]),
        ("max_seconds", [None, 0.5], [0]),
        (
            "source",
            [*PLACES, "data"],
            ["", *WITH_CREDENTIALS, "s3:/key:secret@bucket", "key:secret@bucket", "s3//key:secret@bucket"],
        ),
        ("output", ["runs"], ["s3://key:secret@bucket/runs"]),
        ("features", [None, ["a"]], [[], "a", [""], [3], ["a", "a"]]),
        (
            "filters",
            [None, [["a", "in", [1]]], [[["a", "<", 1]], [["b", "=", "x"]]], [["a", "is null"]], "a < 1 OR b = 'x'"],
            [[], [["a", "=>", 1]], [["a"]], [["a", "in", 3]], [["a", "<"]], [["a", "is null", 1]], ""],
        ),
        ("memory", ["512MiB", "2 GB", "10000000"], ["plenty", "", "5 bananas"]),
        (
            "engine",
            ["threads", "tcp://127.0.0.1:8786", "tls://[::1]:8786"],
            ["abacus", "tcp://", "tcp://localhost", "tcp://user:secret@host:8786", "tcp://key:secret:8786"],
        ),
        ("workers", ["auto", 1, 16], [0, 1.5, "many", None]),
        ("credentials", [None, "storage"], ["", '{"AWS_SECRET_ACCESS_KEY": "secret"}', "pLaNtEdSeCrEt/012"]),
        ("run_id", [None, "a-1"], ["a/b", ""]),
        ("report", [True], ["maybe"]),
        ("max_rmse_increase", [None, 0, 0.05, 1, "5%", "500%"], [-0.1, 5, "some", "5"]),
        ("latest", [True, False], ["maybe", None]),
    ],
)
def test_each_bound_takes_what_is_right_and_refuses_what_is_wrong(
    setting: str, right: list[Any], wrong: list[Any]
) -> None:
    schema = properties(train)[setting]
    for value in right:
        jsonschema.validate(value, schema)
    for value in wrong:
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(value, schema)


@pytest.mark.parametrize("location", PLACES)
def test_a_flow_takes_the_places_that_the_form_takes(location: str) -> None:
    assert train.validate_parameters({"source": location, "target": "y"})["source"] == location


@pytest.mark.parametrize("location", [*WITH_CREDENTIALS, "s3:/key:secret@bucket", "s3//key:secret@bucket"])
@pytest.mark.parametrize(("flow", "setting"), [(train, "source"), (train, "output"), (score, "run"), (score, "output")])
def test_a_flow_refuses_credentials_as_the_form_does(flow: Flow[..., Any], setting: str, location: str) -> None:
    given = {"source": "data", **({"target": "y"} if flow is train else {}), setting: location}
    with pytest.raises(ParameterTypeError, match="in the environment") as refused:
        flow.validate_parameters(given)
    assert "secret" not in str(refused.value)


def test_nested_filters_stay_what_they_were() -> None:
    filters = [[["month", "in", [1, 2]], ["day", "<", 5]], [["origin", "=", "JFK"]]]
    taken = train.validate_parameters({"source": "a", "target": "b", "filters": filters})
    assert json.dumps(taken["filters"]) == json.dumps(filters)


@pytest.mark.parametrize(
    ("filters", "text"),
    [
        (None, ""),
        ([["month", "<=", 6]], " where month <= 6"),
        ([["month", ">", 6], ["origin", "in", ["JFK"]]], ' where month > 6 and origin in ["JFK"]'),
        ([[["month", "=", 1]], [["month", "=", 3]]], " where month = 1 or month = 3"),
        ([3], " where [3]"),
        ("month <= 6 AND origin IS NULL", " where month <= 6 and origin is null"),
        ("month <=", " where month <="),
    ],
)
def test_a_run_is_named_by_its_window(filters: Any, text: str) -> None:
    assert window(filters) == text
    assert len(window([["a", "in", list(range(99))]])) < 99
