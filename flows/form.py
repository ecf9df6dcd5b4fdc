"""The fields of the form: types with bounds, so that Prefect refuses a wrong value before there is a run."""

from typing import Annotated, Any

from pydantic import Field

from gdpipe.config import MAX_ITERATIONS
from gdpipe.filters import COMPARISONS, LISTS, NULL_TESTS

Text = Annotated[str, Field(min_length=1)]
# parameters are kept as they are given: a URI with a user and a password in it is refused
Location = Annotated[str, Field(min_length=1, json_schema_extra={"pattern": r"^(?![A-Za-z0-9+.-]+://[^/]*@)"})]
Names = Annotated[list[Text], Field(min_length=1, json_schema_extra={"uniqueItems": True})]
Positive = Annotated[float, Field(gt=0)]
AtLeastZero = Annotated[float, Field(ge=0)]
AtMostOne = Annotated[float, Field(le=1)]
Percentage = Annotated[str, Field(pattern=r"^\s*\d+(\.\d+)?\s*%\s*$", examples=["5%"])]
Steps = Annotated[int, Field(ge=1, le=MAX_ITERATIONS)]
Memory = Annotated[
    str, Field(pattern=r"^\s*\d+(\.\d+)?\s*([KkMmGg]?[Bb]|[KkMmGg][Ii][Bb])?\s*$", examples=["512MiB", "2GB"])
]
Engine = Annotated[
    str, Field(pattern=r"^(threads|(tcp|tls)://[^/\s]+:\d+)$", examples=["threads", "tcp://127.0.0.1:8786"])
]
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
