"""What a setting may be: how a type is read, said in words and refused, wherever it is declared."""

from typing import Annotated, Any, Literal

import pytest

from gdpipe.errors import ConfigError
from gdpipe.kinds import (
    Bounds,
    Column,
    Columns,
    Engine,
    Fraction,
    Memory,
    Positive,
    RowFilter,
    RunId,
    checked,
    in_words,
)

Share = Annotated[float, Bounds(gt=0, le=1)]
Penalty = Literal["auto", "auto_1se"] | Annotated[float, Bounds(ge=0)]
Count = Annotated[int, Bounds(ge=1, le=5000)]


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (bool, "true or false"),
        (Count | None, "a whole number from 1 up to 5,000"),
        (Share, "a number above 0 up to 1"),
        (Penalty | None, "one of auto, auto_1se, or a number from 0"),
        (Positive | Literal["auto"], "a number above 0, or auto"),
        (Columns | None, "a list of column names such as a,b, none named twice"),
    ],
)
def test_a_type_says_what_it_takes(kind: Any, words: str) -> None:
    assert in_words(kind) == words


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (Count, "12", 12),
        (Share, "1e-3", 0.001),
        (Penalty, "auto_1se", "auto_1se"),
        (Penalty, "0.5", 0.5),
        (Columns | None, "a, b c", ("a", "b c")),
        (Columns, '["a,b", "c"]', ("a,b", "c")),
        (Fraction | None, "5%", 0.05),
        (Column, "12", "12"),
        (RowFilter | None, "a < 1", [["a", "<", 1]]),
    ],
)
def test_a_text_of_the_terminal_is_what_python_has(kind: Any, text: str, value: Any) -> None:
    found = checked("s", kind, text, of_text=True)
    assert (type(found), found) == (type(value), value)
    assert checked("s", kind, found) == value


@pytest.mark.parametrize(
    ("kind", "text"),
    [(Count, "1.5"), (Count, "0"), (Share | None, "nan"), (Penalty, "auto_2se"), (Columns, ""), (Columns, "[a")],
)
def test_a_text_that_is_none_is_refused(kind: Any, text: str) -> None:
    with pytest.raises(ConfigError, match=f"must be {in_words(kind)}"):
        checked("s", kind, text, of_text=True)


def test_only_a_terminal_has_numbers_as_text() -> None:
    with pytest.raises(ConfigError, match="s '12': must be a whole number"):
        checked("s", Count, "12")


@pytest.mark.parametrize(
    ("kind", "value", "message"),
    [
        (Count, 0, "s 0: must be a whole number from 1 up to 5,000"),
        (Count | None, True, "s True: must be a whole number from 1 up to 5,000"),
        (Share, 1.5, "s 1.5: must be a number above 0 up to 1"),
        (Share, 0, "s 0: must be a number above 0 up to 1"),
        (Penalty, "1", "s '1': must be one of auto, auto_1se, or a number from 0"),
        (Penalty, None, "s None: must be one of auto, auto_1se, or a number from 0"),
        (Columns, ["a", "a"], "s ['a', 'a']: must be a list of column names such as a,b, none named twice"),
        (Column, "", "s '': must be a column's name"),
        (Memory, "8388607", "s '8388607': must be a size from 8MiB, such as 512MiB or 2GB"),
        (RunId, "a/b", "s 'a/b': must be 1 to 100 letters, digits, '-' or '_', the first a letter or digit"),
    ],
)
def test_a_refusal_says_what_which_and_what_is_allowed(kind: Any, value: Any, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        checked("s", kind, value)
    assert str(caught.value) == message


@pytest.mark.parametrize("value", ["tcp://user:secret@host:1", ["tcp://user:secret@host:1"]])
@pytest.mark.parametrize("kind", [Engine, RunId, Share, Count])
def test_a_refusal_repeats_no_credentials(kind: Any, value: Any) -> None:
    with pytest.raises(ConfigError, match="must be") as caught:
        checked("s", kind, value)
    assert "secret" not in str(caught.value)
