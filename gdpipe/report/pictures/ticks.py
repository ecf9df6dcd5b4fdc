"""Numbers beside an axis: round, told apart from their neighbours, in thousands (k) and millions (M) where large."""

import itertools
import math
from collections.abc import Sequence

SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
# the least number written with the unit, and the unit; from LARGEST up and below LEAST powers of ten stand
UNITS = ((1e6, 1e6, "M"), (1e5, 1e3, "k"), (0.0, 1.0, ""))
LARGEST, LEAST = 1e9, 1e-3
# decimals beyond which float64 has no more digits
MOST_DECIMALS = 16


def tick_labels(ticks: Sequence[float], *, logarithmic: bool = False) -> list[str]:
    """The texts of ticks, ascending: of one unit, with as many decimals as tell neighbours apart.

    Those of a logarithmic axis (1, 10, 100, ...) are written each by itself, unless they are evenly spaced.
    """
    largest = max(map(abs, ticks), default=0.0)
    steps = [after - before for before, after in itertools.pairwise(ticks)]
    if not largest:
        return ["0"] * len(ticks)
    if not steps or (logarithmic and (len(steps) == 1 or max(steps) > 1.5 * min(steps))):
        return [number(tick) for tick in ticks]
    if LEAST <= largest < LARGEST:
        unit, sign = next((unit, sign) for least, unit, sign in UNITS if largest >= least)
    else:
        power = math.floor(math.log10(largest))
        unit, sign = 10.0**power, f"·10{_superscript(power)}"
    decimals = min(max(0, math.ceil(-math.log10(min(steps) / unit) - 1e-6)), MOST_DECIMALS)
    return [_written(tick / unit, decimals, sign) for tick in ticks]


def number(value: float) -> str:
    """A value as a picture shows it: four digits, powers of ten where it is very large or small."""
    if value == 0 or LEAST <= abs(value) < 1e6:
        return f"{value:,.4g}".replace("-", "−") if abs(value) < 1e4 else f"{value:,.0f}".replace("-", "−")
    if not math.isfinite(value):
        return "∞" if value > 0 else "−∞"
    digits, power = f"{value:.2e}".split("e")
    digits = digits.rstrip("0").rstrip(".").replace("-", "−")
    ten = f"10{_superscript(int(power))}"
    return ten if digits == "1" else f"−{ten}" if digits == "−1" else f"{digits}·{ten}"


def _written(share: float, decimals: int, sign: str) -> str:
    said = f"{share:,.{decimals}f}"
    if not float(said.replace(",", "")):
        return "0"
    return f"{said}{sign}".replace("-", "−")


def _superscript(power: int) -> str:
    return str(power).translate(SUPERSCRIPTS)
