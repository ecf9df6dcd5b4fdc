"""A run in a dozen lines."""

import math
from typing import Any

import pyarrow as pa

from gdpipe.report.advice import advise

NOT_NUMBERS = ("term", "status")
SHOWN = ("term", "estimate", "std_error", "t_value", "p_value", "estimate_scaled", "vif", "status")


def summarize(
    folder: str, manifest: dict[str, Any], parameters: pa.Table, convergence: pa.Table, metrics: pa.Table
) -> str:
    """What a person wants to know of a run, as text.

    Args:
        folder: Where the run is.
        manifest: The run's.
        parameters: The artifact of that name.
        convergence: The artifact of that name.
        metrics: The artifact of that name.
    """
    verdict, quality = convergence.to_pylist()[0], metrics.to_pylist()[0]
    rows = manifest["rows"]
    reasons = [f"{name} null {count:,}" for name, count in rows["null"].items()]
    if rows["zero_weight"]:
        reasons.append(f"weight zero {rows['zero_weight']:,}")
    forecast = verdict["forecast_iterations"]
    lines = [
        f"rows        {rows['read']:,} read, {rows['used']:,} used, {rows['left_out']:,} left out"
        + (f" ({', '.join(reasons)})" if reasons else ""),
        f"descent     {verdict['method']} on {quality['n_features']} features: {verdict['iterations']:,} steps "
        f"(forecast {'never' if forecast is None else f'{forecast:,}'}), learning rate {verdict['learning_rate']:.6g}, "
        f"condition number {verdict['condition_number']:.6g}",
        f"verdict     {'PASSED' if verdict['passed'] else 'NOT PASSED'}: {manifest['verdict']['reason']} "
        f"(gap to OLS {verdict['coef_gap']:.2g}, tolerance {verdict['tolerance']:g})",
        f"fit         R² {quality['r2']:.7g}{' (uncentred)' if quality['r2_kind'] != 'centred' else ''}, "
        f"RMSE {quality['rmse']:.7g}" + (f", MAE {quality['mae']:.7g}" if math.isfinite(quality["mae"]) else ""),
    ]
    if gate := manifest.get("gate"):
        lines.append(f"gate        {'PASSED' if gate['passed'] else 'NOT PASSED'}: {gate['reason']}")
    if drift := manifest.get("drift"):
        lines.append(f"drift       since {drift['since']}: {'; '.join(drift['largest']) or 'nothing has moved'}")
    lines += [f"dependent   {line}" for line in verdict["dependencies"]]
    lines += [f"notice      {line}" for line in manifest["notices"]]
    lines += [f"try         {line}" for line in advise(manifest, verdict, parameters.to_pylist())]
    lines += table_lines(parameters.select(SHOWN).to_pylist())
    lines.append(f"files       {folder}")
    return "\n".join(lines)


def table_lines(rows: list[dict[str, Any]]) -> list[str]:
    """Rows as aligned text, the names of the columns first; text to the left, numbers to the right."""
    if not rows:
        return []
    names = list(rows[0])
    cells = [names, *([cell(row[name]) for name in names] for row in rows)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(names))]
    return [
        "  ".join(
            cell.ljust(width) if name in NOT_NUMBERS else cell.rjust(width)
            for name, cell, width in zip(names, line, widths, strict=True)
        ).rstrip()
        for line in cells
    ]


def cell(value: Any) -> str:
    """A value as a table shows it: six digits, '-' where there is none."""
    if value is None or value != value:  # noqa: PLR0124  # only NaN differs from itself
        return "-"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
