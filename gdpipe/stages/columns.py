"""The columns of a source by their role: features, target, weight and key."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pyarrow as pa

from gdpipe.config import TrainingConfig
from gdpipe.design import Design, Input
from gdpipe.errors import ConfigError, SchemaError
from gdpipe.source.columns import is_numeric
from gdpipe.source.scan import ROW
from gdpipe.source.source import Source
from gdpipe.store import catalog


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns by their role."""

    design: Design
    target: str
    weight: str | None
    key: tuple[str, ...]

    @property
    def features(self) -> tuple[str, ...]:
        """The columns from which the terms are made."""
        return self.design.columns

    @property
    def fitted(self) -> tuple[str, ...]:
        """The features, then the target, then the weight if there is one."""
        return (*self.features, self.target, *([self.weight] if self.weight else []))

    @property
    def asked(self) -> tuple[Input, ...]:
        """What is read of each row for the fit: the inputs of the design, then the target and the weight."""
        return (*self.design.inputs, *(Input(name) for name in (self.target, self.weight) if name))


def choose_columns(config: TrainingConfig, source: Source) -> tuple[Columns, tuple[str, ...]]:
    """The columns of a run by their role; where no features are named, they are all numeric columns.

    Returns:
        The columns, and notices about those that were left out.

    Raises:
        ConfigError: A key has the name of a column of predictions.
        SchemaError: A column is missing, cannot be used, or no feature is left.
    """
    features, notices = _all_numeric(config, source) if config.features is None else (config.features, ())
    source.check_columns([config.target], "target")
    source.check_columns(features, "feature")
    source.check_columns([config.weight] if config.weight else [], "weight")
    check_key(config.key, source)
    if not features:
        raise SchemaError(f"{source.location}: no numeric column is left to be a feature besides {config.target!r}")
    design = Design.of_numbers(features, _booleans(features, source))
    columns = Columns(replace(design, zones=_zones(design, source)), config.target, config.weight, config.key)
    for name in columns.fitted:
        kind = source.schema.field(name).type
        if not is_numeric(kind):
            raise SchemaError(f"{source.location}: column {name!r} is {kind}; a regression needs numbers")
    if ROW in columns.fitted:
        raise SchemaError(f"{source.location}: the column name {ROW!r} is reserved")
    return columns, notices


def _all_numeric(config: TrainingConfig, source: Source) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """All numeric columns as features, and notices about the other columns."""
    for name in config.exclude:
        source.check_there(name, "excluded")
    taken = {config.target, config.weight, *config.key, *config.exclude}
    index = source.index_columns()
    # pandas wrote an index without a name as a column
    free = [f for f in source.schema if f.name not in taken and not f.name.startswith("__index_level_")]
    numeric = source.numeric_somewhere()
    features: list[str] = []
    of_index: list[str] = []
    elsewhere: list[str] = []
    others: list[str] = []
    for field in free:
        lacking = source.without(field.name)
        if field.name in index:
            of_index.append(field.name)
        elif field.name not in numeric and not is_numeric(field.type):
            others.append(f"{field.name} ({field.type})")
        elif lacking is not None:
            elsewhere.append(f"{field.name} (not in {lacking})")
        else:
            # text in one file and numbers in another is an error, not a column to leave out
            source.check_columns([field.name], "feature")
            features.append(field.name)
    reasons = {"the index of a pandas table": of_index, "not in every file": elsewhere, "not numeric": others}
    notices = tuple(f"left out, {why}: {', '.join(names)}" for why, names in reasons.items() if names)
    return tuple(features), notices


def _zones(design: Design, source: Source) -> dict[str, str]:
    """The time zones of the columns of which parts are taken, where they have one."""
    kinds = {of.column: source.schema.field(of.column).type for of in design.inputs if of.part}
    return {name: kind.tz for name, kind in kinds.items() if pa.types.is_timestamp(kind) and kind.tz}


def _booleans(names: Sequence[str], source: Source) -> list[str]:
    """The columns that are booleans in every file; a column of type null counts as one."""

    def may_be(schema: pa.Schema, name: str) -> bool:
        kind = schema.field(name).type
        return bool(pa.types.is_boolean(kind) or pa.types.is_null(kind))

    return [
        name
        for name in names
        # the first file rules out nearly all columns, which is fast with many files
        if may_be(source.schema, name)
        and all(may_be(file.schema, name) for file in source.files if name in file.schema.names)
    ]


def check_key(key: Sequence[str], source: Source) -> None:
    """Check that key columns are in every file, with types that one column can hold, and fit into predictions.

    Raises:
        ConfigError: Predictions have a column of that name.
        SchemaError: A file lacks the column, or has it with another type.
    """
    source.check_columns(key, "key")
    clash = sorted({*catalog.schema(catalog.PREDICTIONS, "").names, ROW} & set(key))
    if clash:
        raise ConfigError(f"key: predictions have a column {clash[0]!r} of their own; rename the input's")
    for name in key:
        source.unified(name)
