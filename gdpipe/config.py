"""The settings, each declared once: its name, its type with bounds (`gdpipe.kinds`), its default, and a sentence.

The command line, the flows' parameters and form, the checks in Python and docs/settings.md follow from these fields.
"""

import dataclasses
import datetime
import difflib
import hashlib
import inspect
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, Self, TypeVar, get_origin

from gdpipe import kinds, other_names
from gdpipe.errors import ConfigError
from gdpipe.kinds import Bounds, Location
from gdpipe.location import shown

NullPolicy = Literal["drop", "fail"]
MethodSetting = Literal["auto", "gd", "accelerated"]
Collinear = Literal["min_norm", "drop", "fail"]
Arithmetic = Literal["auto", "exact", "float64"]
Predict = Literal["all", "new", "none"]
Unseen = Literal["null", "reference", "fail"]
PenaltySetting = Literal["none", "ridge", "lasso", "elastic_net"]

Given = TypeVar("Given", bound=Callable[..., Any])

EXACT_FEATURES = 256
# the l1_ratio of each penalty whose name says it
L1_RATIOS: dict[str, float] = {"ridge": 0.0, "lasso": 1.0}


def setting(default: Any, sentence: str, *, immaterial: bool = False) -> Any:
    """The field of a setting with a default; an immaterial setting changes no published number."""
    return field(default=default, metadata={"help": sentence, "immaterial": immaterial})


def described(item: "dataclasses.Field[Any]") -> str:
    """The help of a setting: its sentence, and what its value must be unless its choices are listed anyway."""
    if item.type is bool or get_origin(item.type) is Literal:
        return str(item.metadata["help"])
    return f"{item.metadata['help']} Must be {kinds.in_words(item.type)}."


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings in general, each checked by its type."""

    def __post_init__(self) -> None:
        for item in dataclasses.fields(self):
            value = getattr(self, item.name)
            # the command line and the form give None for no columns
            value = () if value is None and item.default == () else kinds.checked(item.name, item.type, value)
            object.__setattr__(self, item.name, value)

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Self:
        """The settings in a mapping, such as keyword arguments.

        Raises:
            ConfigError: A setting is unknown, missing, of the wrong type or out of range.
        """
        known = {item.name: item.default for item in dataclasses.fields(cls)}
        for name in settings:
            if name not in known:
                near = difflib.get_close_matches(name, known, n=1)
                there_are = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(known)}"
                hint = other_names.answer(name, {each: each for each in known}) or there_are
                raise ConfigError(f"unknown setting {name!r}: {hint}")
        for name, default in known.items():
            if default is dataclasses.MISSING and name not in settings:
                raise ConfigError(f"setting {name!r} is required")
        return cls(**settings)

    def as_dict(self) -> dict[str, Any]:
        """The settings as plain values for the manifest, without credentials."""
        found = dataclasses.asdict(self)
        places = [item.name for item in dataclasses.fields(self) if Location in kinds.alternatives(item.type)]
        # above 1 as a percentage, as it was given: a number above 1 would be refused where the manifest is read
        wide = {n: f"{100 * v:.15g}%" for n, v in found.items() if isinstance(v, kinds.Percentage)}
        return {**found, **wide, **{name: shown(found[name]) for name in places}}

    def with_run_id(self) -> Self:
        """The settings with a run_id: the one given, or a new one such as 20260131-235959-123456-1a2b3c4d.

        A new run_id is made of UTC time and a digest of the settings.
        """
        settings = self.as_dict()
        if settings["run_id"] is not None:
            return self
        digest = hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode()).hexdigest()[:8]
        now = datetime.datetime.now(datetime.UTC)
        return dataclasses.replace(self, **{"run_id": f"{now:%Y%m%d-%H%M%S-%f}-{digest}"})


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingConfig(Settings):
    """The settings of a training run, with the same names in Python, on the command line and in the flow.

    Raises:
        ConfigError: A setting is of the wrong type or out of range; the message names it.
    """

    source: Location = field(
        metadata={"help": "A Parquet file, a folder (hive partitions are read as columns), a glob, or a URI."}
    )
    target: kinds.Column = field(metadata={"help": "The column to predict."})
    features: kinds.Features | None = setting(
        None,
        "What to predict from: columns, or features made from them such as C(hour), month(t), log(x) or x:z; "
        "all columns that can be used but target, key and weight if not given.",
    )
    exclude: kinds.Columns = setting((), "Columns that are not to be features, where none are named.")
    output: Location = setting("runs", "Where everything is written.", immaterial=True)
    key: kinds.Columns = setting((), "Column(s) copied to predictions.")
    weight: kinds.Column | None = setting(None, "Column of sample weights, >= 0. A weight of 2 is the row twice.")
    filters: kinds.RowFilter | None = setting(None, 'Rows to use, such as "month <= 6" or [["month", "<=", 6]].')
    null_policy: NullPolicy = setting("drop", "What a null or NaN does: drop the row, or fail the run.")
    max_levels: Annotated[int, Bounds(ge=2, le=10**6)] = setting(
        1000, "The most levels that a category, or a product of categories, may have; more are an error."
    )
    min_level_rows: Annotated[int, Bounds(ge=1)] = setting(
        1, "The fewest rows of a level of its own; those of rarer levels are in the level (other)."
    )
    folds: Annotated[int, Bounds(ge=0, le=20, further=lambda folds: folds != 1, wanted="0, or from 2 to 20")] = setting(
        5, "Parts of the rows that are left out of the fit in turn, for the cross-validated error; 0 for none."
    )
    fold_by: kinds.Columns = setting(
        (), "Columns whose values decide a row's fold, as its own values do if not given: equal ones share a fold."
    )
    holdout: kinds.Holdout | None = setting(
        None, 'Rows kept out of the fit, on which its error is measured, such as "month = 12".'
    )
    method: MethodSetting = setting(
        "auto", "gd, accelerated, or auto: gd if its forecast fits in max_iterations and about half a second."
    )
    learning_rate: kinds.Positive | Literal["auto"] = setting(
        "auto", "Step size of the descent, below 2/L; auto finds the best."
    )
    tolerance: kinds.Positive = setting(1e-8, "Largest accepted gap to OLS in a standardized coefficient.")
    max_iterations: Annotated[int, Bounds(ge=1, le=10**9)] = setting(
        100_000, "The most steps that the descent may take."
    )
    max_seconds: kinds.Positive | None = setting(None, "The most seconds that the descent may take.")
    fit_intercept: bool = setting(True, "Fit an intercept.")
    collinear: Collinear = setting("min_norm", "Dependent features: min_norm, drop or fail.")
    penalty: PenaltySetting = setting(
        "none", "A penalty on standardized coefficients: none, ridge, lasso, or elastic_net, which is both."
    )
    alpha: kinds.Alpha = setting(
        "auto",
        "Strength of the penalty; auto takes the least cross-validated error, auto_1se the largest alpha whose error "
        "is within one standard error of it.",
    )
    l1_ratio: Annotated[float, Bounds(ge=0, le=1)] = setting(
        0.5, "The lasso's part of elastic_net, from 0 (ridge) to 1 (lasso)."
    )
    arithmetic: Arithmetic = setting("auto", f"exact, float64, or auto: exact up to {EXACT_FEATURES} features.")
    max_rmse_increase: kinds.Fraction | None = setting(
        None, "The gate: how far the RMSE may lie above the previous run's; beyond it, not published."
    )
    min_r2: Annotated[float, Bounds(le=1)] | None = setting(None, "The gate: the least R² that is published.")
    memory: kinds.Memory = setting("512MiB", "The most held of the source at once.", immaterial=True)
    engine: kinds.Engine = setting("threads", "What works on the shards.", immaterial=True)
    workers: kinds.Workers = setting(
        "auto",
        "Processes that read: 1 is threads of this process; auto starts a process a core where there is much to read.",
        immaterial=True,
    )
    report: bool = setting(True, "Write report.html.")
    predict: Predict = setting("all", "Rows to predict: all, those of files new since the published run, or none.")
    latest: bool = setting(
        True,
        "Make the run the latest, which readers follow; if not, it is published beside the latest.",
        immaterial=True,
    )
    force: bool = setting(False, "Train even if nothing has changed since the published run.", immaterial=True)
    run_id: kinds.RunId | None = setting(
        None, "A name for the run; made from time and settings if not given.", immaterial=True
    )

    @property
    def memory_bytes(self) -> int:
        """`memory` in bytes."""
        return kinds.bytes_of(self.memory)

    def __post_init__(self) -> None:
        Settings.__post_init__(self)
        features = self.features or ()
        if self.features == ():
            raise ConfigError("features (): must name a column; leave the setting out for all that can be used")
        if self.fold_by and not self.folds:
            raise ConfigError(
                f"fold_by {','.join(self.fold_by)}: decides folds, and folds is 0; set folds to 5, say, or leave it out"
            )
        for name in self.exclude:
            if name in features:
                raise ConfigError(f"exclude: {name!r} is named as a feature too")
        for role, column in (("target", self.target), ("weight", self.weight)):
            if column in features:
                raise ConfigError(f"features: {column!r} is the {role} and cannot be a feature too")
        if self.weight == self.target:
            raise ConfigError(f"weight: {self.weight!r} is the target")
        if self.penalty == "none" and self.alpha != _default("alpha"):
            raise ConfigError(f"alpha {self.alpha}: there is no penalty; set penalty to ridge, lasso or elastic_net")
        if self.penalty != "elastic_net" and self.l1_ratio != _default("l1_ratio"):
            raise ConfigError(
                f"l1_ratio {self.l1_ratio:g}: is for elastic_net, and penalty is {self.penalty}; leave it out"
            )
        if self.penalty != "none" and isinstance(self.alpha, str) and not self.folds:
            raise ConfigError(
                f"alpha {self.alpha}: is chosen by the error on unseen rows, and folds is 0; set folds to 5, say, or "
                "give alpha as a number"
            )


def _default(name: str) -> Any:
    return TrainingConfig.__dataclass_fields__[name].default


def _as_trained(name: str, default: Any = dataclasses.MISSING) -> Any:
    """The field of a setting that scoring shares with training, with another default if one is given."""
    declared = TrainingConfig.__dataclass_fields__[name]
    return field(default=declared.default if default is dataclasses.MISSING else default, metadata=declared.metadata)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoringConfig(Settings):
    """The settings of a scoring run.

    Raises:
        ConfigError: A setting is of the wrong type or out of range; the message names it.
    """

    source: Location = _as_trained("source")
    run: Location = setting("runs", "The output of the training, or one run's folder in it.")
    output: Location = _as_trained("output", "scores")
    key: kinds.Columns = _as_trained("key")
    filters: kinds.RowFilter | None = _as_trained("filters")
    unseen: Unseen = setting(
        "null", "What a level that the fit has not seen does: no prediction, that of the reference, or fail the run."
    )
    memory: kinds.Memory = _as_trained("memory")
    engine: kinds.Engine = _as_trained("engine")
    workers: kinds.Workers = _as_trained("workers")
    run_id: kinds.RunId | None = _as_trained("run_id")


def takes(declared: type[Settings]) -> Callable[[Given], Given]:
    """A decorator that gives a function of settings its signature, for help and completion, and their sentences."""
    items = dataclasses.fields(declared)
    parameters = [
        inspect.Parameter(
            item.name,
            inspect.Parameter.POSITIONAL_OR_KEYWORD if item.name == "source" else inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty if item.default is dataclasses.MISSING else item.default,
            annotation=kinds.plain(item.type),
        )
        for item in items
    ]

    def give(function: Given) -> Given:
        function.__signature__ = inspect.signature(function).replace(parameters=parameters)  # type: ignore[attr-defined]  # every function may have one
        text, raises, rest = str(inspect.getdoc(function)).partition("Raises:")
        lines = [f"    {item.name}: {described(item)}" for item in items]
        function.__doc__ = "\n".join([text.rstrip(), "", "Args:", *lines, "", raises + rest])
        return function

    return give


# settings of a training run that change no published number; `output`, too, as a folder may have several names
IMMATERIAL = tuple(item.name for item in dataclasses.fields(TrainingConfig) if item.metadata.get("immaterial"))


def check_run_id(run_id: Any) -> None:
    """Check that a run's name can be that of a folder.

    Raises:
        ConfigError: It cannot.
    """
    kinds.checked("run_id", kinds.RunId, run_id)
