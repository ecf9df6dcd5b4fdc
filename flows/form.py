"""The fields of the form: types with bounds, so that Prefect refuses a wrong value before there is a run."""

import logging
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from gdpipe.config import ENGINE, MAX_ITERATIONS
from gdpipe.filters import COMPARISONS, LISTS, NULL_TESTS
from gdpipe.location import HARMLESS, MISTYPED, shown

Text = Annotated[str, Field(min_length=1)]
# what `gdpipe.location.shown` hides: a user, a password or an unknown option in a URI
_USER = r"[^/?]*@|[^/?]*:(.*@|(?![0-9]+([/?]|$)))"
_OPTION = rf"[^?]*\?(.*&)?(?!({'|'.join(HARMLESS)})=)"
_URI = rf"[^/]*://({_USER}|{_OPTION})|(?!file:)[^/]*:///.*@"


def _repeats_no_parameters(record: logging.LogRecord) -> bool:
    return not record.getMessage().startswith("Parameter validation failed")


# Prefect logs all parameters where it refuses one; who gave them is told by its exception
logging.getLogger("prefect.flows").addFilter(_repeats_no_parameters)


def without_credentials(location: str) -> str:
    """A path or URI that Prefect may keep: it keeps parameters as they are given.

    Raises:
        ValueError: It holds more than may be shown; the message does not repeat it.
    """
    if shown(location) != location:
        raise ValueError(
            f"{shown(location)}: a URI with a user, a password or unknown options in it, which Prefect would keep; "
            "give credentials by the parameter credentials or in the environment (AWS_ACCESS_KEY_ID and its like)"
        )
    return location


Location = Annotated[
    str,
    Field(min_length=1, json_schema_extra={"pattern": rf"^(?!{_URI}|(?!.*://){MISTYPED})"}),
    AfterValidator(without_credentials),
]
Names = Annotated[list[Text], Field(min_length=1, json_schema_extra={"uniqueItems": True})]
Positive = Annotated[float, Field(gt=0)]
AtLeastZero = Annotated[float, Field(ge=0)]
AtMostOne = Annotated[float, Field(le=1)]
Percentage = Annotated[str, Field(pattern=r"^\s*\d+(\.\d+)?\s*%\s*$", examples=["5%"])]
Steps = Annotated[int, Field(ge=1, le=MAX_ITERATIONS)]
Memory = Annotated[
    str, Field(pattern=r"^\s*\d+(\.\d+)?\s*([KkMmGg]?[Bb]|[KkMmGg][Ii][Bb])?\s*$", examples=["512MiB", "2GB"])
]
Engine = Annotated[str, Field(pattern=rf"^({ENGINE})$", examples=["threads", "tcp://127.0.0.1:8786"])]
# a block's name as Prefect allows it, which no secret is
Block = Annotated[str, Field(pattern=r"^[a-z0-9-]+$", examples=["storage"])]
RunId = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$")]

# a list, not a tuple: what the form hands on is then what a manifest holds
Condition = Annotated[
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
Conditions = Annotated[list[Condition], Field(title="all of these", min_length=1)]
AnyConditions = Annotated[list[Conditions], Field(title="any of these groups", min_length=1)]
InSql = Annotated[str, Field(title="a condition in SQL", min_length=1, examples=["month <= 6 AND origin = 'JFK'"])]
Filters = Conditions | AnyConditions | InSql
