"""Parameters of the flows and their form, made from the settings; Prefect refuses wrong values before a run."""

import dataclasses
import inspect
import logging
from collections.abc import Callable
from inspect import Parameter
from typing import Annotated, Any, Union

from prefect.client.schemas.objects import State
from pydantic import AfterValidator, Field

from gdpipe.config import Settings, described
from gdpipe.filters import COMPARISONS, LISTS, NULL_TESTS
from gdpipe.kinds import Columns, Features, Fraction, Holdout, Location, RowFilter, alternatives, parts
from gdpipe.location import HARMLESS, MISTYPED, shown

# what `gdpipe.location.shown` hides: a user, a password or an unknown option in a URI
_USER = r"[^/?]*@|[^/?]*:(.*@|(?![0-9]+([/?]|$)))"
_OPTION = rf"[^?]*\?(.*&)?(?!({'|'.join(HARMLESS)})=)"
_URI = rf"[^/]*://({_USER}|{_OPTION})|(?!file:)[^/]*:///.*@"

# where Prefect refuses a parameter, it logs all of them, which may have credentials; its exception is enough
logging.getLogger("prefect.flows").addFilter(
    lambda record: not record.getMessage().startswith("Parameter validation failed")
)


def without_credentials(location: str) -> str:
    """The path or URI, checked to have no credentials, as Prefect stores parameters as they are given.

    Raises:
        ValueError: The URI has credentials or unknown options; the message does not repeat them.
    """
    if shown(location) != location:
        raise ValueError(
            f"{shown(location)}: a URI with a user, a password or unknown options in it, which Prefect would keep; "
            "give credentials by the parameter credentials or in the environment (AWS_ACCESS_KEY_ID and its like)"
        )
    return location


# a block's name as Prefect allows it; a secret has other characters, and is refused
_Block = Annotated[str, Field(pattern=r"^[a-z0-9-]+$", examples=["storage"])]
_BLOCK_SENTENCE = "The name of a Secret block with AWS_... variables for object storage; not the secret itself."

# a list, not a tuple, as in a manifest
_Condition = Annotated[
    list[Any],
    Field(
        min_length=2,
        max_length=3,
        json_schema_extra={
            "prefixItems": [
                {"title": "column", "type": "string", "minLength": 1},
                {"title": "operator", "enum": [*COMPARISONS, *LISTS, *NULL_TESTS]},
                {"title": "value"},
            ],
            "anyOf": [
                {"prefixItems": [{}, {"enum": list(LISTS)}, {"type": "array"}], "minItems": 3},
                {"prefixItems": [{}, {"enum": list(COMPARISONS)}], "minItems": 3},
                {"prefixItems": [{}, {"enum": list(NULL_TESTS)}], "maxItems": 2},
            ],
        },
    ),
]
_Conditions = Annotated[list[_Condition], Field(title="all of these", min_length=1)]
_AnyConditions = Annotated[list[_Conditions], Field(title="any of these groups", min_length=1)]
_InSql = Annotated[str, Field(title="a condition in SQL", min_length=1, examples=["month <= 6 AND origin = 'JFK'"])]
_Text = Annotated[str, Field(min_length=1)]
_Percentage = Annotated[str, Field(pattern=r"^\s*\d+(\.\d+)?\s*%\s*$", examples=["5%"])]
# types that differ in the form, for what Prefect stores or how users write a value
_IN_FORM: dict[Any, Any] = {
    Location: Annotated[
        str,
        Field(min_length=1, json_schema_extra={"pattern": rf"^(?!{_URI}|(?!.*://){MISTYPED})"}),
        AfterValidator(without_credentials),
    ],
    Columns: Annotated[list[_Text], Field(min_length=1, json_schema_extra={"uniqueItems": True})],
    Features: Annotated[list[_Text], Field(min_length=1, json_schema_extra={"uniqueItems": True})],
    RowFilter: _Conditions | _AnyConditions | _InSql,
    Holdout: _Conditions | _AnyConditions | _InSql,
    Fraction: Annotated[float, Field(ge=0, le=1)] | _Percentage,
}


def takes(declared: type[Settings]) -> Callable[[Callable[..., State[Any]]], Callable[..., State[Any]]]:
    """A decorator below `flow` that makes each setting, and `credentials`, a parameter in the signature."""
    parameters, lines = [], []
    for item in dataclasses.fields(declared):
        default = {dataclasses.MISSING: Parameter.empty, (): None}.get(item.default, item.default)
        kind = _in_form(item.type) if item.default != () else _in_form(item.type) | None
        parameters.append(Parameter(item.name, Parameter.KEYWORD_ONLY, default=default, annotation=kind))
        lines.append(f"    {item.name}: {described(item)}")
    parameters.append(Parameter("credentials", Parameter.KEYWORD_ONLY, default=None, annotation=_Block | None))
    lines.append(f"    credentials: {_BLOCK_SENTENCE}")

    def give(function: Callable[..., State[Any]]) -> Callable[..., State[Any]]:
        function.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # every function may have one
        function.__doc__ = "\n".join([str(inspect.getdoc(function)), "", "Args:", *lines])
        return function

    return give


def _in_form(kind: Any) -> Any:
    """The type for pydantic."""
    if len(alternatives(kind)) > 1:
        return Union[tuple(map(_in_form, alternatives(kind)))]  # noqa: UP007  # the types are known at run time
    if kind in _IN_FORM:
        return _IN_FORM[kind]
    base, bounds = parts(kind)
    pattern = f"^({bounds.pattern})$" if bounds.pattern else None
    examples = list(bounds.examples) if bounds.examples else None
    limits = {name: getattr(bounds, name) for name in ("gt", "ge", "le", "min_length")}
    return Annotated[base, Field(**limits, pattern=pattern, examples=examples)]
