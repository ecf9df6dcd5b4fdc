"""gdpipe: Parquet in, a linear regression that can be trusted out."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from gdpipe.errors import (
    ConfigError,
    ConvergenceError,
    DataError,
    GdpipeError,
    PublishError,
    QualityError,
    RejectedError,
    SchemaError,
)

if TYPE_CHECKING:
    from gdpipe.config import TrainingConfig
    from gdpipe.pipeline import train_source as train
    from gdpipe.regressor import GradientDescentRegressor
    from gdpipe.run import Run, open_run

__all__ = [
    "ConfigError",
    "ConvergenceError",
    "DataError",
    "GdpipeError",
    "GradientDescentRegressor",
    "PublishError",
    "QualityError",
    "RejectedError",
    "Run",
    "SchemaError",
    "TrainingConfig",
    "open_run",
    "train",
]

# loaded when they are asked for: a worker process needs half of the modules, and scikit-learn takes longer than a run
_MODULES = {
    "GradientDescentRegressor": "gdpipe.regressor",
    "Run": "gdpipe.run",
    "TrainingConfig": "gdpipe.config",
    "open_run": "gdpipe.run",
    "train": "gdpipe.pipeline",
}
# their names there, where they are others
_NAMES = {"train": "train_source"}


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(import_module(_MODULES[name]), _NAMES.get(name, name))
    except ModuleNotFoundError as error:
        if name != "GradientDescentRegressor":
            raise
        raise ImportError(f"{name} needs scikit-learn: pip install 'gdpipe[sklearn]' ({error})") from error
