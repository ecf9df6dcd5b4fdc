"""Sums by level as JSON: integers, and labels as places among those of single categories, for pairs are many."""

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gdpipe.numerics.sums.levels import Key, Labels, LevelSums


def levels_to_json(levels: Mapping[Key, LevelSums]) -> list[dict[str, Any]]:
    """The entries of sums by level, single categories first; each is among them."""
    places = {c: {label: at for at, (label,) in enumerate(levels[(c,)].labels)} for key in levels for c in key}
    entries = []
    for key, sums in sorted(levels.items(), key=_length):
        labels = [[labels[at] for labels in sums.labels] for at in range(len(key))]
        upper = np.triu_indices(sums.products.shape[1])
        entries.append(
            {
                "labels": labels[0]
                if len(key) == 1
                else [[places[c][label] for label in of] for c, of in zip(key, labels, strict=True)],
                "n_samples": sums.n_samples.tolist(),
                "weight": sums.weight.tolist(),
                "sums": sums.sums.ravel().tolist(),
                "products": sums.products[:, *upper].ravel().tolist(),
            }
        )
    return entries


def levels_from_json(
    entries: Any, orders: Mapping[Key, int], exponents: NDArray[np.int64], weight_exponent: int
) -> dict[Key, LevelSums]:
    """The sums by level that `levels_to_json` wrote, for these keys.

    Raises:
        ArithmeticError, LookupError, TypeError, ValueError: They are of others, or damaged.
    """
    k = len(exponents)
    found: dict[Key, LevelSums] = {}
    if not isinstance(entries, list):
        raise TypeError("no list of sums by level where one must be")
    for (key, order), entry in zip(sorted(orders.items(), key=_length), entries, strict=True):
        labels = _labels(entry["labels"], key, found)
        size = len(labels)
        in_sums, in_products = k * (order > 0), k * (order > 1)
        upper = np.triu_indices(in_products)
        products = np.full((size, in_products, in_products), 0, object)
        triangle = np.array(integers(entry["products"], size * len(upper[0])), object)
        triangle = triangle.reshape(size, len(upper[0]))
        products[:, *upper] = products.swapaxes(1, 2)[:, *upper] = triangle
        found[key] = LevelSums(
            labels,
            np.array(integers(entry["n_samples"], size), np.int64),
            np.array(integers(entry["weight"], size), object),
            np.array(integers(entry["sums"], size * in_sums), object).reshape(size, in_sums),
            products,
            exponents,
            weight_exponent,
        )
    return {key: found[key] for key in orders}


def _length(of: tuple[Key, Any]) -> int:
    return len(of[0])


def _labels(entry: Any, key: Key, found: Mapping[Key, LevelSums]) -> tuple[Labels, ...]:
    if len(key) == 1:
        if not isinstance(entry, list) or not all(isinstance(label, str) for label in entry):
            raise TypeError("no list of labels where one must be")
        labels = tuple((label,) for label in entry)
    else:
        places = [integers(of, len(entry[0])) for of in entry]
        of_categories = [found[(c,)].labels for c in key]
        if any(not 0 <= at < len(of) for column, of in zip(places, of_categories, strict=True) for at in column):
            raise ValueError("a level that no category has")
        labels = tuple(
            tuple(of[at][0] for at, of in zip(row, of_categories, strict=True)) for row in zip(*places, strict=True)
        )
    if any(a >= b for a, b in itertools.pairwise(labels)):
        raise ValueError("levels are not sorted")
    return labels


def integers(values: Any, count: int) -> list[int]:
    """A list of so many integers as JSON has them: 1.5, 1.0 and true are none."""
    if not isinstance(values, list) or len(values) != count or any(type(value) is not int for value in values):
        raise ValueError(f"no list of {count} integers where one must be")
    return values
