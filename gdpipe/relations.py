"""Dependencies among features as text."""

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction

from gdpipe.design import Design
from gdpipe.numerics.problem.regression import Regression
from gdpipe.numerics.problem.relations import Holds, Relation

LARGEST_SHOWN = 10**15
# constant terms of one feature that are named
MOST_CONSTANTS = 5
# terms of an equation that is written out, where a category is in it
LONGEST_EQUATION = 5


def describe(regression: Regression, design: Design) -> tuple[str, ...]:
    """One line for each dependency, such as `a = b`, `c is constant (288)`, `surface = wall + 2 roof`.

    Terms of one category that depend on the same other features share a line, such as `C(month) and C(quarter): 3 terms
    of C(quarter) are combinations of those of C(month)`.
    """
    found, cross, names = regression.dependencies, regression.cross, design.names
    p = len(names)
    rank = p - len(found.constant) - len(found.redundant)
    constant = _constants(regression, design)
    if found.relations and rank >= cross.n_samples - cross.centred:
        # any features are dependent on so few rows, so that relations among them are accidental
        return (*constant, f"fewer rows than features: rank {rank} of {p} on {cross.n_samples} rows")
    # each relation has one redundant term
    groups: dict[tuple[str, ...], list[Relation]] = {}
    for relation in found.relations:
        redundant = next(design.terms[j] for j in relation.features if j in found.redundant)
        others = dict.fromkeys(design.terms[j].feature for j in relation.features)
        group = (redundant.feature, *(feature for feature in others if feature != redundant.feature))
        groups.setdefault(group, []).append(relation)
    lines = []
    for group, relations in groups.items():
        places = {j for relation in relations for j in relation.features}
        of_numbers = all(design.terms[j].level is None for j in places)
        if of_numbers or (len(relations) == 1 and len(places) <= LONGEST_EQUATION):
            lines += [equation(relation, names) for relation in relations]
        else:
            redundant_terms = len(places.intersection(found.redundant))
            lines.append(_combinations(group, redundant_terms, design) + _held(relations))
    return (*constant, *lines)


def _constants(regression: Regression, design: Design) -> list[str]:
    """The lines about constant terms; many of one feature share a line."""
    by_feature: dict[str, list[int]] = {}
    for j in regression.dependencies.constant:
        by_feature.setdefault(design.terms[j].feature, []).append(j)
    lines = []
    for feature, places in by_feature.items():
        if len(places) > MOST_CONSTANTS:
            lines.append(f"{feature}: {len(places):,} terms are constant")
        else:
            means = regression.scaling.means
            lines += [f"{design.names[j]} is constant ({_number(means[j])})" for j in places]
    return lines


def _combinations(group: tuple[str, ...], redundant: int, design: Design) -> str:
    """The line about redundant terms of the group's first feature, which are combinations of terms of the group."""
    feature, *others = group
    is_number = not next(f for f in design.features if f.name == feature).categories
    what = feature if is_number else f"{redundant:,} term{'s' * (redundant != 1)} of {feature}"
    are = "is a combination" if redundant == 1 else "are combinations"
    of = f"{'the terms' if is_number else 'those'} of {_listed(others)}" if others else "the others"
    return f"{_listed([*others, feature])}: {what} {are} of {of}"


def _held(relations: Sequence[Relation]) -> str:
    if all(relation.exact for relation in relations):
        return ""
    decimal = any(relation.decimal for relation in relations)
    return f" ({(Holds.TO_15_DIGITS if decimal else Holds.TO_ROUNDING).value})"


def _listed(names: Sequence[str]) -> str:
    return " and ".join([*([", ".join(names[:-1])] if names[1:] else []), *names[-1:]])


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
    return f"{_term(abs(alone[0]), alone[1])} = {text}{_held([relation])}"


def _term(coefficient: Fraction, name: str) -> str:
    return name if coefficient == 1 else f"{_number(coefficient)} {name}"


def _number(value: Fraction) -> str:
    if value.denominator == 1 and abs(value) < LARGEST_SHOWN:
        return str(value)
    try:
        return f"{float(value):.10g}"
    except OverflowError:  # too large for a float, not for a Decimal
        return f"{Decimal(value.numerator) / Decimal(value.denominator):.10g}"
