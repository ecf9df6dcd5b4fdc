"""A column of an artifact, as the catalog describes it."""

from dataclasses import dataclass

import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Column:
    """One column of an artifact."""

    name: str
    type: pa.DataType
    unit: str  # `target` and `feature` stand for the units of those columns, `1` for a pure number
    meaning: str  # in one line
    optional: bool = False  # it may be null, or missing in a run of an earlier version
    penalized: str | None = None  # the meaning in a run with a penalty, where that is another

    def field(self, *, penalized: bool = False) -> pa.Field:
        """The Arrow field, with unit and meaning as metadata."""
        meaning = self.penalized if penalized and self.penalized else self.meaning
        return pa.field(self.name, self.type, metadata={"unit": self.unit, "meaning": meaning})
