"""The settings of a run, checked once."""

import contextlib
import dataclasses
import datetime
import difflib
import hashlib
import json
import os
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np

from gdpipe.errors import ConfigError
from gdpipe.filters import Filters, normalized
from gdpipe.location import shown, without_credentials

NullPolicy = Literal["drop", "fail"]
MethodSetting = Literal["auto", "gd", "accelerated"]
Collinear = Literal["min_norm", "drop", "fail"]
Arithmetic = Literal["auto", "exact", "float64"]
Predict = Literal["all", "new", "none"]

EXACT_FEATURES = 256
MAX_ITERATIONS = 10**9
# also the form's; a host has no ':' and no '@' in it, or it stands in brackets
ENGINE = r"threads|(tcp|tls)://(\[[0-9A-Fa-f:.]+\]|[^/\s@?:]+):[0-9]+"
_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}
_MIN_MEMORY = 8 * 2**20


def _setting(default: Any, help_text: str) -> Any:
    return field(default=default, metadata={"help": help_text})


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingConfig:
    """Everything that a person may set about a run; the same names in Python, on the command line and in the flow.

    Raises:
        ConfigError: A setting is of the wrong type or out of range; the message names it.
    """

    source: str = field(
        metadata={"help": "A Parquet file, a folder (hive partitions are read as columns), a glob, or a URI."}
    )
    target: str = field(metadata={"help": "The column to predict."})
    features: tuple[str, ...] | None = _setting(
        None, "Columns to predict from, as a,b,c. All numeric columns but target, key and weight if not given."
    )
    exclude: tuple[str, ...] = _setting((), "Columns that are not to be features, as a,b; where none are named.")
    output: str = _setting("runs", "Folder or URI for everything that is written.")
    key: tuple[str, ...] = _setting((), "Column(s) copied to predictions, as a,b.")
    weight: str | None = _setting(None, "Column of sample weights, >= 0. A weight of 2 is the row twice.")
    filters: Filters | None = _setting(
        None, 'Rows to use, as a condition in SQL: "month <= 6 AND origin = \'JFK\'"; or in JSON: [["month", "<=", 6]].'
    )
    null_policy: NullPolicy = _setting("drop", "What a null or NaN does: drop the row, or fail the run.")
    method: MethodSetting = _setting("auto", "gd, accelerated, or auto: gd if its forecast fits in max-iterations.")
    learning_rate: float | Literal["auto"] = _setting("auto", "auto, or a number below 2/L.")
    tolerance: float = _setting(1e-8, "Largest accepted gap to OLS in a standardized coefficient.")
    max_iterations: int = _setting(100_000, "Steps of the descent.")
    max_seconds: float | None = _setting(None, "The descent's own clock.")
    fit_intercept: bool = _setting(True, "Fit an intercept.")
    collinear: Collinear = _setting("min_norm", "Dependent features: min_norm, drop or fail.")
    arithmetic: Arithmetic = _setting("auto", "exact, float64, or auto: exact up to 256 features.")
    max_rmse_increase: float | None = _setting(
        None, "The gate: how far the RMSE may lie above the previous run's, as 0.05 or 5%; beyond it, not published."
    )
    min_r2: float | None = _setting(None, "The gate: the least R² that is published.")
    memory: str = _setting("512MiB", "The most held of the source at once.")
    engine: str = _setting("threads", "What works on the shards: threads, or a Dask scheduler at tcp://HOST:PORT.")
    report: bool = _setting(True, "Write report.html.")
    predict: Predict = _setting("all", "Rows to predict: all, those of files new since the published run, or none.")
    latest: bool = _setting(
        True, "Make the run the latest, which readers follow; if not, it is published beside the latest."
    )
    force: bool = _setting(False, "Train even if nothing has changed since the published run.")
    run_id: str | None = _setting(None, "A name for the run: letters, digits, '-', '_'. Made from time and settings.")

    def __post_init__(self) -> None:
        for item in dataclasses.fields(self):
            object.__setattr__(self, item.name, _plain(getattr(self, item.name)))
        for name in ("source", "target", "output", "engine", "memory"):
            _check(isinstance(getattr(self, name), str) and bool(getattr(self, name)), name, self, "a text, not empty")
        object.__setattr__(self, "features", column_names("features", self.features))
        object.__setattr__(self, "exclude", column_names("exclude", self.exclude) or ())
        object.__setattr__(self, "key", column_names("key", self.key) or ())
        _check(self.weight is None or (isinstance(self.weight, str) and bool(self.weight)), "weight", self, "a column")
        object.__setattr__(self, "filters", normalized(self.filters))
        for name, allowed in (
            ("null_policy", NullPolicy),
            ("method", MethodSetting),
            ("collinear", Collinear),
            ("arithmetic", Arithmetic),
            ("predict", Predict),
        ):
            choices = get_args(allowed)
            _check(getattr(self, name) in choices, name, self, f"one of {', '.join(choices)}")
        if self.learning_rate != "auto":
            _check(_is_number(self.learning_rate) and self.learning_rate > 0, "learning_rate", self, "auto or > 0")
        _check(_is_number(self.tolerance) and self.tolerance > 0, "tolerance", self, "a number above 0")
        _check(
            _is_integer(self.max_iterations) and 1 <= self.max_iterations <= MAX_ITERATIONS,
            "max_iterations",
            self,
            f"from 1 to {MAX_ITERATIONS:,}",
        )
        if self.max_seconds is not None:
            _check(_is_number(self.max_seconds) and self.max_seconds > 0, "max_seconds", self, "a number above 0")
        _check_gate(self)
        for name in ("fit_intercept", "report", "latest", "force"):
            _check(isinstance(getattr(self, name), bool), name, self, "true or false")
        _check(self.memory_bytes >= _MIN_MEMORY, "memory", self, "at least 8MiB")
        _check(
            re.fullmatch(ENGINE, self.engine) is not None,
            "engine",
            self,
            "threads, or a Dask scheduler's address such as tcp://10.0.0.5:8786, with no user or password in it",
        )
        if self.run_id is not None:
            check_run_id(self.run_id)
        _check_roles(self)

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> "TrainingConfig":
        """From a mapping of settings, such as a caller's keyword arguments.

        Raises:
            ConfigError: A setting is unknown or missing, besides what the class itself refuses.
        """
        known = [f.name for f in dataclasses.fields(cls)]
        for name in settings:
            if name not in known:
                near = difflib.get_close_matches(name, known, n=1)
                hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(known)}"
                raise ConfigError(f"unknown setting {name!r}: {hint}")
        for name in ("source", "target"):
            if name not in settings:
                raise ConfigError(f"setting {name!r} is required")
        return cls(**settings)

    @property
    def memory_bytes(self) -> int:
        """`memory` in bytes."""
        match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*", self.memory)
        if not match or match[2].upper() not in _UNITS:
            raise ConfigError(f"memory {self.memory!r}: must be a size such as 512MiB or 2GB")
        return int(float(match[1]) * _UNITS[match[2].upper()])

    def as_dict(self) -> dict[str, Any]:
        """Plain values, as the manifest keeps them: without credentials."""
        return {**dataclasses.asdict(self), "source": shown(self.source), "output": shown(self.output)}

    def with_run_id(self) -> "TrainingConfig":
        """The same with a run_id: the one given, else one made from the time and the settings."""
        if self.run_id is not None:
            return self
        return dataclasses.replace(self, run_id=new_run_id(self.as_dict()))


def new_run_id(settings: Mapping[str, Any]) -> str:
    """A name for a run, such as 20260131-235959-123456-1a2b3c4d: UTC time and a digest of the settings."""
    now = datetime.datetime.now(datetime.UTC)
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode()).hexdigest()[:8]
    return f"{now:%Y%m%d-%H%M%S-%f}-{digest}"


def fraction(text: str) -> float:
    """A number, or a percentage: 0.05 and 5% are the same.

    Raises:
        ValueError: It is neither.
    """
    return float(text[:-1]) / 100 if text.endswith("%") else float(text)


def column_names(setting: str, value: Any) -> tuple[str, ...] | None:
    """A setting that names columns, as a tuple.

    Raises:
        ConfigError: It is no list of names, or one is named twice.
    """
    if value is None:
        return None
    if isinstance(value, str):
        names = tuple(n.strip() for n in value.split(","))
    elif isinstance(value, Iterable) and not isinstance(value, (bytes, Mapping)):
        # such as some of a data frame's columns
        names = tuple(str(n) if isinstance(n, str) else n for n in value)
    else:
        names = (value,)
    if not all(isinstance(n, str) and n for n in names) or (setting == "features" and not names):
        raise ConfigError(f"{setting} {value!r}: must be a list of column names")
    twice = sorted({n for n in names if names.count(n) > 1})
    if twice:
        raise ConfigError(f"{setting}: {twice[0]!r} is named twice")
    return names


def _plain(value: Any) -> Any:
    """A setting as plain Python has it: of a path its text, of NumPy's numbers and truths Python's."""
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    return value.item() if isinstance(value, (np.number, np.bool_)) else value


def _check_gate(config: TrainingConfig) -> None:
    increase: Any = config.max_rmse_increase
    if isinstance(increase, str):
        with contextlib.suppress(ValueError):  # what is no number is refused below
            increase = fraction(increase)
            object.__setattr__(config, "max_rmse_increase", increase)
    if increase is not None:
        wanted = "a number from 0, or a percentage such as 5%"
        _check(_is_number(increase) and increase >= 0, "max_rmse_increase", config, wanted)
    if config.min_r2 is not None:
        _check(_is_number(config.min_r2) and config.min_r2 <= 1, "min_r2", config, "a number up to 1")


def _check_roles(config: TrainingConfig) -> None:
    for name in config.exclude:
        if config.features and name in config.features:
            raise ConfigError(f"exclude: {name!r} is named as a feature too")
    for role in ("target", "weight"):
        if config.features and getattr(config, role) in config.features:
            raise ConfigError(f"features: {getattr(config, role)!r} is the {role} and cannot be a feature too")
    if config.weight == config.target:
        raise ConfigError(f"weight: {config.weight!r} is the target")


def check_run_id(run_id: Any) -> None:
    """See that a run's name can be a folder's.

    Raises:
        ConfigError: It cannot.
    """
    if not isinstance(run_id, str) or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}", run_id):
        raise ConfigError(
            f"run_id {run_id!r}: must be 1 to 100 letters, digits, '-' or '_', the first a letter or digit"
        )


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _check(condition: bool, name: str, config: TrainingConfig, wanted: str) -> None:
    if not condition:
        value = getattr(config, name)
        said = repr(shown(value)) if isinstance(value, str) else without_credentials(repr(value))
        raise ConfigError(f"{name} {said}: must be {wanted}")
