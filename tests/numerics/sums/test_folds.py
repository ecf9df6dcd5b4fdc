"""Folds: by the values of a row alone, even to sampling error, and the same on every machine."""

import hashlib
import itertools
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import chi2

from gdpipe.numerics.sums.folds import BLOCK_ROWS, fold_of_rows, label_hashes, row_hashes
from tests.numerics.build import Floats

HASHES = ["0x3e69569639557a70", "0xb6dc88f79331456a", "0x5db4ce2a64399def"]
MASK = 2**64 - 1
RNG = np.random.default_rng(0)
GRID = np.array(list(itertools.product(range(200), range(200))), float).T

EXAMPLES: dict[str, Floats] = {
    "normal": RNG.normal(size=(3, 40_000)),
    "one column": RNG.normal(size=(1, 40_000)),
    "integers": np.arange(40_000.0)[None],
    "two columns of integers": GRID,
    "a constant beside integers": np.vstack([np.zeros(40_000), np.arange(-20_000.0, 20_000.0), np.ones(40_000)]),
    "tenths": GRID / 10,
    "float32": RNG.normal(size=(2, 40_000)).astype(np.float32).astype(float),
    "all combinations of 16 indicators": np.array(list(itertools.product([0.0, 1.0], repeat=16))).T,
    "signs": np.array(list(itertools.product([-1.0, 1.0], repeat=16))).T,
    "the last bits": (np.full(40_000, 1.0).view(np.uint64) + np.arange(40_000, dtype=np.uint64)).view(float)[None],
    "the exponent alone": np.exp2(np.arange(-1000.0, 1000.0))[None],
    "powers of ten": np.array(list(itertools.product(10.0 ** np.arange(-100, 100), repeat=2))).T,
}


def by_hand(row: list[float], folds: int) -> int:
    """The fold in Python's integers."""
    h = 0x9E3779B97F4A7C15
    for value in row:
        (bits,) = struct.unpack("<Q", struct.pack("<d", value + 0.0))
        h = (h ^ bits) * 0x9E3779B97F4A7C15 & MASK
        h ^= h >> 29
    for multiplier in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53):
        h = (h ^ h >> 33) * multiplier & MASK
    h ^= h >> 33
    return (h >> 32) * folds >> 32


def p_value(folds: NDArray[np.uint8], n: int) -> float:
    """That even folds are as uneven as these."""
    counts = np.bincount(folds, minlength=n)
    expected = len(folds) / n
    return float(chi2.sf(((counts - expected) ** 2 / expected).sum(), n - 1))


@given(st.lists(st.tuples(*[st.floats(allow_nan=False)] * 3), min_size=1), st.integers(1, 256))
def test_the_fold_of_a_row_is_that_of_its_values(rows: list[tuple[float, ...]], folds: int) -> None:
    found = fold_of_rows(np.array(rows, float).T, folds)  # type: ignore[arg-type]  # an array is a sequence of its lines
    assert found.tolist() == [by_hand(list(row), folds) for row in rows]


def test_version_1_of_the_hash_has_these_values() -> None:
    """Sums that are kept depend on them: with other values VERSION must change."""
    columns = [np.array([0.0, 1.0, 0.1]), np.array([0.0, -2.0, 1e300]), label_hashes(["", "AA", "Zürich"])]
    assert [hex(h) for h in row_hashes(columns).tolist()] == HASHES
    assert fold_of_rows(columns, 5).tolist() == [int(h, 16) * 5 >> 64 for h in HASHES]


@pytest.mark.parametrize("n", [2, 5, 10])
@pytest.mark.parametrize("name", EXAMPLES)
def test_folds_are_even_to_sampling_error(name: str, n: int) -> None:
    columns = EXAMPLES[name]
    assert len(np.unique(row_hashes(list(columns)))) == columns.shape[1]
    folds = fold_of_rows(list(columns), n)
    assert p_value(folds, n) > 1e-4
    for column in columns:  # nor do they know of a column's size, or of the order of rows
        above = folds[column > np.median(column)]
        assert not len(above) or p_value(above, n) > 1e-4
    assert p_value(folds[::2], n) > 1e-4
    repeats = (folds[1:] == folds[:-1]).mean()
    assert repeats == pytest.approx(1 / n, abs=4 / np.sqrt(len(folds)))


@pytest.mark.parametrize("bit", [0, 20, 31, 51, 52, 63])
def test_one_bit_makes_another_draw(bit: int) -> None:
    columns = list(EXAMPLES["normal"])
    folds = fold_of_rows(columns, 5)
    for j in range(3):
        other = (columns[j].view(np.uint64) ^ np.uint64(1 << bit)).view(np.float64)
        changed = fold_of_rows([*columns[:j], other, *columns[j + 1 :]], 5)
        assert p_value((changed.astype(int) - folds) % 5, 5) > 1e-4


def test_position_storage_and_the_sign_of_zero_do_not_count() -> None:
    rows = 2 * BLOCK_ROWS + 3
    columns = RNG.integers(-1, 2, (2, rows)) * 0.5
    signed = np.where(columns == 0, np.copysign(0.0, RNG.normal(size=columns.shape)), columns)
    folds = fold_of_rows(list(columns), 7)
    order = RNG.permutation(rows)
    assert (fold_of_rows(list(signed[:, order]), 7) == folds[order]).all()
    assert (fold_of_rows(list(np.asfortranarray(columns)), 7) == folds).all()
    assert len(np.unique(np.vstack([columns, folds]), axis=1).T) == 9  # equal rows, equal folds
    assert (fold_of_rows([columns[1], columns[0]], 7) != folds).any()


def test_rows_that_are_all_equal_are_in_one_fold() -> None:
    assert len(set(fold_of_rows([np.full(1_000, 7.0)], 5).tolist())) == 1
    assert fold_of_rows([np.empty(0)], 5).tolist() == []
    assert set(fold_of_rows([np.arange(1000.0)], 1).tolist()) == {0}


def test_a_label_has_the_hash_of_its_text() -> None:
    labels = ["AA", "UA", "", "Zürich", "\ud800", "AA"]
    found = label_hashes(labels)
    assert found[0] == found[5]
    assert len(set(found.tolist())) == 5
    assert int(found[3]) == int.from_bytes(hashlib.blake2b("Zürich".encode(), digest_size=8).digest(), "little")
    many = label_hashes(f"level {i}" for i in range(20_000))
    assert p_value(fold_of_rows([many], 5), 5) > 1e-4
