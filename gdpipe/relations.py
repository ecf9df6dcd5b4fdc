"""Dependencies among features as text."""

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction

from gdpipe.numerics.problem.regression import Regression
from gdpipe.numerics.problem.relations import Holds, Relation

LARGEST_SHOWN = 10**15


def describe(regression: Regression, names: Sequence[str]) -> tuple[str, ...]:
    """One line for each dependency, such as `a = b`, `c is constant (288)`, `surface = wall + 2 roof`."""
    found, cross, means = regression.dependencies, regression.problem.cross, regression.scaling.means
    p = len(names)
    rank = p - len(found.constant) - len(found.redundant)
    constant = [f"{names[j]} is constant ({_number(means[j])})" for j in found.constant]
    if found.relations and rank >= cross.n_samples - cross.centred:
        # any features are dependent on so few rows, so that relations among them are accidental
        return (*constant, f"fewer rows than features: rank {rank} of {p} on {cross.n_samples} rows")
    return (*constant, *(equation(relation, names) for relation in found.relations))


def equation(relation: Relation, names: Sequence[str], left: int | None = None) -> str:
    """A relation as text, with a feature of coefficient 1 or -1 on the left, if possible the only one of its sign.

    `left` is the index of another feature that is to stand there, with whatever coefficient.
    """
    terms = [(relation.coefficients[j], names[j]) for j in relation.features]
    single = [t for t in terms if abs(t[0]) == 1]
    on_its_side = [t for t in single if sum(c * t[0] > 0 for c, _ in terms) == 1]
    alone = (on_its_side or single or terms[-1:])[0]
    if left is not None:
        alone = (relation.coefficients[left], names[left])
    sign = 1 if alone[0] > 0 else -1
    right = [(-sign * c, name) for c, name in terms if name != alone[1]]
    right.sort(key=lambda term: term[0] < 0)
    summands = [(c, _term(abs(c), name)) for c, name in right]
    if relation.constant:
        summands.append((sign * relation.constant, _number(abs(relation.constant))))
    text = "".join((" - " if c < 0 else " + ") + summand for c, summand in summands)
    text = ("-" if text.startswith(" - ") else "") + text[3:]
    held = "" if relation.exact else f" ({(Holds.TO_15_DIGITS if relation.decimal else Holds.TO_ROUNDING).value})"
    return f"{_term(abs(alone[0]), alone[1])} = {text}{held}"


def _term(coefficient: Fraction, name: str) -> str:
    return name if coefficient == 1 else f"{_number(coefficient)} {name}"


def _number(value: Fraction) -> str:
    if value.denominator == 1 and abs(value) < LARGEST_SHOWN:
        return str(value)
    try:
        return f"{float(value):.10g}"
    except OverflowError:  # too large for a float, not for a Decimal
        return f"{Decimal(value.numerator) / Decimal(value.denominator):.10g}"
