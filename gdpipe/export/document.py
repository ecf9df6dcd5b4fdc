"""A run as one JSON document, for programs."""

import json
import math
from typing import Any

import pyarrow as pa


def document(
    folder: str, manifest: dict[str, Any], parameters: pa.Table, convergence: pa.Table, metrics: pa.Table
) -> dict[str, Any]:
    """What `--json` prints of a run: names, numbers and units are those of the files.

    Args:
        folder: Where the run is.
        manifest: The run's.
        parameters: The artifact of that name.
        convergence: The artifact of that name.
        metrics: The artifact of that name.
    """
    return {
        "run_id": manifest["run_id"],
        "folder": folder,
        "verdict": {**manifest["verdict"], **convergence.to_pylist()[0]},
        **{name: manifest[name] for name in ("gate", "drift") if name in manifest},
        "rows": manifest["rows"],
        "notices": manifest["notices"],
        "metrics": metrics.to_pylist()[0],
        "parameters": parameters.to_pylist(),
    }


def dumps(value: Any) -> str:
    """As JSON, which has neither NaN nor infinity: null stands for both."""
    return json.dumps(_finite(value), indent=2, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
