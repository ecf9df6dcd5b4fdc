"""gdpipe: Parquet in, a linear regression that can be trusted out."""

from typing import TYPE_CHECKING, Any

from gdpipe.config import TrainingConfig
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
from gdpipe.pipeline import train as _train
from gdpipe.run import Run, open_run

if TYPE_CHECKING:
    from gdpipe.regressor import GradientDescentRegressor

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


def train(**settings: Any) -> Run:
    """Train and publish a run; settings as in `TrainingConfig`.

    Raises:
        GdpipeError: One of its kinds, by what went wrong; see `gdpipe.errors`.
    """
    return _train(TrainingConfig.of(settings))


def __getattr__(name: str) -> Any:
    """The regressor, imported when it is asked for: scikit-learn takes longer to load than a small run."""
    if name != "GradientDescentRegressor":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        from gdpipe.regressor import GradientDescentRegressor
    except ModuleNotFoundError as error:
        raise ImportError(f"{name} needs scikit-learn: pip install 'gdpipe[sklearn]' ({error})") from error
    return GradientDescentRegressor
