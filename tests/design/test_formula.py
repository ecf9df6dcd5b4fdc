"""The text of a feature: what it means, how it is named, and what is said of a text that is none."""

import re
from typing import Any

import pytest

from gdpipe.design import Category, Feature, Input, Number
from gdpipe.design.formula import ColumnKind, feature_of, features_of
from gdpipe.design.names import number_label
from gdpipe.errors import ConfigError, SchemaError

COLUMNS: dict[str, ColumnKind] = {
    **dict.fromkeys(
        ["x", "z", "hour", "dep delay", "a:b", "log(x)", "class", "µ", "tick`s", "x-1", "y", "w"], "number"
    ),
    **dict.fromkeys(["carrier", "tail no"], "text"),
    "flag": "boolean",
    "t": "time",
    "d": "date",
    "list": "other",
}
X, CARRIER = Input("x"), Input("carrier", None, "text")


def kind_of(name: str) -> ColumnKind:
    if name not in COLUMNS:
        raise SchemaError(f"{name!r} is not there")
    return COLUMNS[name]


def read(text: str) -> Feature:
    return feature_of(text, COLUMNS, kind_of)


def number(column: str, *functions: str | int, part: str | None = None) -> Number:
    return Number("", Input(column, part), functions)


def category(column: str, levels: Any, reference: str | None = None, part: str | None = None) -> Category:
    return Category("", Input(column, part, levels), reference)


MEANT: list[tuple[str, str, list[Number | Category]]] = [
    ("x", "x", [number("x")]),
    ("dep delay", "dep delay", [number("dep delay")]),
    ("`dep delay`", "dep delay", [number("dep delay")]),
    ("log(`dep delay`)", "log(`dep delay`)", [number("dep delay", "log")]),
    ("log( x )**2", "log(x)**2", [number("x", "log", 2)]),
    ("log(x)", "log(x)", [number("log(x)")]),  # a column of that name wins
    ("log((x))", "log(x)", [number("x", "log")]),
    ("x**10", "x**10", [number("x", 10)]),
    ("(x**2)**3", "(x**2)**3", [number("x", 2, 3)]),
    ("sqrt(abs(x))", "sqrt(abs(x))", [number("x", "abs", "sqrt")]),
    ("abs(µ)", "abs(µ)", [number("µ", "abs")]),  # Python would make another letter of it
    ("abs(`class`)", "abs(`class`)", [number("class", "abs")]),
    ("abs(`tick``s`)", "abs(`tick``s`)", [number("tick`s", "abs")]),
    ("carrier", "carrier", [category("carrier", "text")]),
    ("C(carrier)", "carrier", [category("carrier", "text")]),
    ("C(carrier, ref='a`b`c')", "carrier", [category("carrier", "text", "a`b`c")]),
    ("C(`tail no`)", "tail no", [category("tail no", "text")]),
    ("flag", "flag", [category("flag", "boolean")]),
    ("C(flag, ref=True)", "flag", [category("flag", "boolean", "true")]),
    ("C(hour)", "C(hour)", [category("hour", "number")]),
    ("C(hour, ref=5.0)", "C(hour)", [category("hour", "number", "5")]),
    ("C(hour, ref=-0.5)", "C(hour)", [category("hour", "number", "-0.5")]),
    ("C(d, ref='2024-01-05')", "C(d)", [category("d", "text", "2024-01-05")]),
    ("month(t)", "month(t)", [number("t", part="month")]),
    ("days(d)**2", "days(d)**2", [number("d", 2, part="days")]),
    ("C(weekday(t), ref=6)", "C(weekday(t))", [category("t", "number", "6", part="weekday")]),
    (" C( hour ) ", "C(hour)", [category("hour", "number")]),
    ("a:b", "a:b", [number("a:b")]),
    ("`a:b`:x", "`a:b`:x", [number("a:b"), number("x")]),
    ("dep delay:carrier", "`dep delay`:carrier", [number("dep delay"), category("carrier", "text")]),
    ("x-1:z", "`x-1`:z", [number("x-1"), number("z")]),
    ('C(carrier, ref="a\\"`b`:\\"") : x', "carrier:x", [category("carrier", "text", 'a"`b`:"'), number("x")]),
    (
        "C(carrier, ref='a:b') : C(hour)",
        "carrier:C(hour)",
        [category("carrier", "text", "a:b"), category("hour", "number")],
    ),
]


@pytest.mark.parametrize(("text", "name", "factors"), MEANT, ids=[text for text, _, _ in MEANT])
def test_a_text_is_read(text: str, name: str, factors: list[Number | Category]) -> None:
    feature = read(text)
    assert feature.factors == tuple(factors)
    assert feature.name == name


@pytest.mark.parametrize("text", [text for text, name, _ in MEANT if text != "log((x))"])
def test_the_name_of_a_feature_can_be_written_again(text: str) -> None:
    again = read(read(text).name)
    assert [f.input for f in again.factors] == [f.input for f in read(text).factors]
    assert again.name == read(text).name


WRONG = {
    "lg(x)": "unknown function lg; did you mean log?",
    "exponential(x)": "unknown function exponential; there are: log, sqrt, abs, year, month, day, .*, C",
    "np.log(z)": "unknown function np.log; did you mean log?",
    "I(x**2)": "unknown function I; write a power without it, such as x**2",
    'Q("dep delay")': "unknown function Q; a name with blanks or signs in it stands in backticks",
    "factor(hour)": "unknown function factor; write C(x)",
    "relevel(carrier)": 'unknown function relevel; write C(x, ref="a")',
    "x # of z": "'x # of z' is neither a column nor a feature",
    "x*z": "name each feature by itself: x, z and x:z",
    "`dep delay`*carrier": "name each feature by itself: `dep delay`, carrier and `dep delay`:carrier",
    "x+z": "name each feature by itself: x and z",
    "x^2": "write a power as x**2",
    "x**11": "powers are whole numbers from 2 to 10, not 11",
    "x**1": "powers are whole numbers from 2 to 10, not 1",
    "x**0.5": "powers are whole numbers from 2 to 10, not 0.5",
    "x**z": "powers are whole numbers from 2 to 10, not z",
    "x**True": "powers are whole numbers from 2 to 10, not True",
    "C(t)": "'t' is a timestamp, .*write C(days(t)), C(month(t))",
    "C(log(z))": "C takes a column or a part of a date, such as C(hour) or C(month(t)), not log(z)",
    "C(x, 5)": 'C takes a column and perhaps a reference, such as C(x, ref="a")',
    "C(hour, ref='a')": "the reference of 'hour' must be a number, not 'a'",
    "C(hour, ref=True)": "the reference of 'hour' must be a number, not True",
    "C(carrier, ref=UA)": "the reference of 'carrier' must be a text, such as ref=\"a\", not UA",
    "C(flag, ref=1)": "the reference of 'flag' must be ref=True or ref=False, not 1",
    "log(carrier)": "carrier is a category, and log needs a number",
    "sqrt(C(hour))": "C(hour) is a category, and sqrt needs a number",
    "flag**2": "flag is a category, and a power needs a number",
    "t": "column 't' is a timestamp; write days(t), or a part of it, such as month(t) or C(weekday(t))",
    "log(d)": "column 'd' is a date; write days(d)",
    "list": "column 'list' is of a type that is neither number, text",
    "month(x)": "month needs a date or a timestamp, and 'x' is a number",
    "month(carrier)": "'carrier' is a category (text); write its dates into the source as dates",
    "month(abs(x))": "month takes a column, not abs(x)",
    "hour(d)": "'d' is a date, which has no hour",
    "log(x, 2)": "log takes one column, such as log(x)",
    "dep  delay": "'dep  delay' is neither a column nor a feature such as .*; did you mean 'dep delay'?",
    "C(carrier": "neither a column nor a feature",
    "abs(class)": "neither a column nor a feature such as .*backticks",
    "x:": "'' is neither a column nor a feature",
    "5": "'5' is neither a column nor a feature",
    "x:x": "x is in the product twice; write its power, such as x**2",
    "carrier:C(carrier)": "carrier is in the product twice",
    "carrier:C(carrier, ref='AA')": "carrier is in the product twice",
    "(" * 300 + "x" + ")" * 300: "neither a column nor a feature",
    "x if z else hour": "neither a column nor a feature",
    "lambda: x": "neither a column nor a feature",
    "x\0": "neither a column nor a feature",
}


@pytest.mark.parametrize(("text", "said"), WRONG.items(), ids=[text[:20] for text in WRONG])
def test_what_is_no_feature_is_refused_with_what_to_write(text: str, said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        read(text)
    message = str(refused.value)
    assert message.startswith(f"features: {text!r}: ")
    assert "\n" not in message
    assert re.search(re.escape(said).replace(r"\.\*", ".*"), message), message


def test_a_column_that_is_not_there_is_the_callers_error() -> None:
    with pytest.raises(SchemaError, match="'nobody' is not there"):
        read("log(nobody)")


def several(*texts: str) -> tuple[Feature, ...]:
    return features_of(texts, COLUMNS, kind_of, {"y": "target", "w": "weight"})


def test_a_reference_is_that_of_all_features_with_the_category() -> None:
    for texts in (["C(carrier, ref='b')", "x:carrier"], ["x:carrier", "C(carrier, ref='b')"]):
        assert [f.reference for feature in several(*texts) for f in feature.categories] == ["b", "b"]
    assert [f.reference for f in several("C(hour, ref=5)", "hour")[0].categories] == ["5"]
    with pytest.raises(ConfigError, match="carrier has the references 'a' and 'b'; name one"):
        several("C(carrier, ref='a')", "C(carrier, ref='b'):x")


@pytest.mark.parametrize(
    "texts", [("x:z", "z:x"), ("carrier", "C(carrier, ref='b')"), ("`x`", "x"), ("x:z:hour", "hour:z:x")]
)
def test_a_feature_is_named_once(texts: tuple[str, str]) -> None:
    with pytest.raises(ConfigError) as refused:
        several(*texts)
    assert str(refused.value) == f"features: {texts[1]!r} is the same as {texts[0]!r}; name it once"


def test_what_is_predicted_and_the_weight_are_in_no_feature() -> None:
    with pytest.raises(ConfigError, match=re.escape("features: 'log(y)' uses 'y', which is the target; leave it out")):
        several("x", "log(y)")
    with pytest.raises(
        ConfigError, match=re.escape("features: 'carrier:w' uses 'w', which is the weight; leave it out")
    ):
        several("carrier:w")
    assert len(several("x", "x:z", "x**2", "C(hour)", "hour")) == 5


@pytest.mark.parametrize(
    ("value", "label"),
    [
        (5, "5"),
        (5.0, "5"),
        (-0.0, "0"),
        (0.1, "0.1"),
        (2**63, "9223372036854775808"),
        (1e300, str(int(1e300))),
        (float("inf"), "inf"),
    ],
)
def test_the_label_of_a_number(value: float, label: str) -> None:
    assert number_label(value) == label
    assert float(label) == value
