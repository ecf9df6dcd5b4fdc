"""The columns of a source by their role: features, target, weight and key."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import pyarrow as pa

from gdpipe.config import TrainingConfig
from gdpipe.design import ColumnKind, Design, Input, features_of, quoted
from gdpipe.errors import ConfigError, SchemaError
from gdpipe.source.columns import column_kind, is_numeric
from gdpipe.source.distinct import MOST_COUNTED, count_levels
from gdpipe.source.magnitudes import Cache
from gdpipe.source.scan import ROW
from gdpipe.source.source import Source
from gdpipe.store import catalog

# a column of text that nobody named, with more levels than these, is left out: it mostly names the rows
MOST_LEVELS = 50


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

    @property
    def measured(self) -> tuple[str, ...]:
        """The columns that are read as the numbers that they are, each once."""
        return tuple(dict.fromkeys(of.column for of in self.asked if not (of.part or of.levels)))

    @property
    def summed(self) -> tuple[str, ...]:
        """What the dense sums are of, by name: the products of numbers, the target, and the weight."""
        products = (":".join(factor.name for factor in factors) for factors in self.design.numbers)
        return (*products, self.target, *([self.weight] if self.weight else []))


def choose_columns(
    config: TrainingConfig, source: Source, cache: Cache | None = None
) -> tuple[Columns, tuple[str, ...]]:
    """The columns of a run by their role, and notices about those that were left out.

    Args:
        config: The settings; where no features are named, they are all columns that can be used.
        source: The source.
        cache: The cache of levels by file, for columns of text that nobody named.

    Raises:
        ConfigError: A feature cannot be made, or a key has the name of a column of predictions.
        DataError: A column of text that nobody named cannot be read.
        PublishError: The cache cannot be written.
        SchemaError: A column is missing, cannot be used, or no feature is left.
    """
    features, notices = _all_usable(config, source, cache) if config.features is None else (config.features, ())
    roles = {config.target: "target", **({config.weight: "weight"} if config.weight else {})}
    for name, role in roles.items():
        source.check_columns([name], role)

    def kind_of(name: str) -> ColumnKind:
        source.check_columns([name], "feature")
        kind = source.kind_of(name)
        if kind == "other":
            raise SchemaError(
                f"{source.location}: column {name!r} is {source.schema.field(name).type}, which cannot be a feature; "
                "leave it out, or write it as a number, text, boolean, date or timestamp"
            )
        return kind

    found = features_of(features, frozenset(source.schema.names), kind_of, roles)
    check_key(config.key, source)
    if not found:
        raise SchemaError(
            f"{source.location}: no column besides {config.target!r} can be a feature; name some in features"
        )
    design = Design(found, fit_intercept=config.fit_intercept)
    design = replace(design, zones=_zones(design, source))
    columns = Columns(design, config.target, config.weight, config.key)
    for name, role in roles.items():
        kind = source.schema.field(name).type
        if not is_numeric(kind):
            raise SchemaError(
                f"{source.location}: {role} column {name!r} is {kind}; a {role} must be a number: write it as one"
            )
    _check_unreserved(columns.fitted, source)
    return columns, notices


def _all_usable(config: TrainingConfig, source: Source, cache: Cache | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """All columns that can be features, and notices about the others."""
    for name in config.exclude:
        source.check_there(name, "excluded")
    taken = {config.target, config.weight, *config.key, *config.exclude}
    index = source.index_columns()
    # pandas wrote an index without a name as a column
    free = [f for f in source.schema if f.name not in taken and not f.name.startswith("__index_level_")]
    usable = source.usable_somewhere()
    features: dict[str, ColumnKind] = {}
    of_index: list[str] = []
    elsewhere: list[str] = []
    others: list[str] = []
    dates: list[str] = []
    for field in free:
        lacking = source.without(field.name)
        if field.name in index:
            of_index.append(field.name)
        elif field.name not in usable:
            others.append(f"{field.name} ({field.type})")
        elif lacking is not None:
            elsewhere.append(f"{field.name} (not in {lacking})")
        else:
            # text in one file and numbers in another is an error, not a column to leave out
            source.check_columns([field.name], "feature")
            if column_kind(field.type) in ("date", "time"):
                dates.append(field.name)
            else:
                features[field.name] = source.kind_of(field.name)
    _check_unreserved(features, source)  # before texts are read
    texts = [name for name, kind in features.items() if kind == "text"]
    counts = count_levels(source, texts, config.memory_bytes, cache)
    many = {name: count for name, count in counts.items() if count > MOST_LEVELS}
    reasons = {
        "the index of a pandas table": of_index,
        "not in every file": elsewhere,
        "of a type that cannot be a feature": others,
        f"text of more than {MOST_LEVELS} levels unless named in features": [
            f"{name} ({f'more than {MOST_COUNTED:,}' if count > MOST_COUNTED else count})"
            for name, count in many.items()
        ],
    }
    notices = [f"left out, {why}: {', '.join(names)}" for why, names in reasons.items() if names]
    if dates:
        parts = ", ".join(f"{part}({quoted(dates[0])})" for part in ("days", "month", "weekday"))
        notices.append(
            f"left out, dates and timestamps, of which features name parts such as {parts}: {', '.join(dates)}"
        )
    return tuple(name for name in features if name not in many), tuple(notices)


def _check_unreserved(names: Collection[str], source: Source) -> None:
    if ROW in names:
        raise SchemaError(f"{source.location}: the column name {ROW!r} is reserved; rename the column, or leave it out")


def _zones(design: Design, source: Source) -> dict[str, str]:
    """The time zones of the columns of which parts are taken, where they have one."""
    kinds = {of.column: source.schema.field(of.column).type for of in design.inputs if of.part}
    return {name: kind.tz for name, kind in kinds.items() if pa.types.is_timestamp(kind) and kind.tz}


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
