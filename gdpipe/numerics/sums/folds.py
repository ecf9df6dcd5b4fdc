"""Folds: parts of the rows that are left out of a fit in turn, and on which it is then measured.

The fold of a row comes from a hash of the row's own values and never from its position. So it is the same however the
rows are stored, ordered or shared out, and equal rows are in one fold: none is in the rows that a fit has seen and in
those that it is measured on. Where there are few distinct rows, folds are therefore uneven, and some may be empty: rows
that are all equal are in one fold.
"""

import functools
import hashlib
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

# the version of the hash: it changes with any row's fold, and sums by fold of another version are of no use
VERSION = 1
# rows hashed at once: three lines of so many stay in cache, and in smaller blocks the calls take longer than that gains
BLOCK_ROWS = 16_384
# the hash of a text that is missing
NO_TEXT = np.uint64(0)
# 2^64 divided by the golden ratio, an odd number whose bits have no pattern
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
# the last steps of MurmurHash3, after which each bit of the input changes each bit of the hash with probability 1/2
# (Appleby 2016, fmix64): (shift, multiplier), and a last shift
_LAST_STEPS = ((33, 0xFF51AFD7ED558CCD), (33, 0xC4CEB9FE1A85EC53))


def fold_of_rows(columns: Sequence[NDArray[np.float64] | NDArray[np.uint64]], folds: int) -> NDArray[np.uint8]:
    """The fold of each row, shape (m,): each is drawn with probability 1/folds, but for 2^-32.

    The order of the columns counts. Weights do not belong among them: a row of weight 2 is the row twice.

    Args:
        columns: Shape (m,) each, one at least: finite numbers, of which -0.0 and 0.0 are the same; or hashes, such as
            those of the labels of a category's rows, `label_hashes(labels)[codes]`.
        folds: Their number, from 1 to 256.
    """
    hashes = row_hashes(columns)
    # the upper half as a fraction of 2^32, times `folds`: what a remainder gives, without a division
    hashes >>= np.uint64(32)
    hashes *= np.uint64(folds)
    hashes >>= np.uint64(32)
    return hashes.astype(np.uint8)  # bytes are sorted in half the time that integers of 64 bits take


def row_hashes(columns: Sequence[NDArray[np.float64] | NDArray[np.uint64]]) -> NDArray[np.uint64]:
    """A hash of 64 bits of each row, shape (m,); arguments as in `fold_of_rows`.

    h = (h xor bits)·odd, h = h xor (h >> 29), column by column: a product carries bits upward alone, and numbers with
    few digits have their bits at the top.
    """
    m = len(columns[0])
    hashes = np.full(m, _MULTIPLIER)
    scratch = np.empty(min(m, BLOCK_ROWS), np.uint64)
    for start in range(0, m, BLOCK_ROWS):
        rows = slice(start, start + BLOCK_ROWS)
        block = hashes[rows]
        spare = scratch[: len(block)]
        for column in columns:
            bits = column[rows]
            if bits.dtype != np.uint64:
                np.add(bits, 0.0, out=spare.view(np.float64))  # -0.0 + 0.0 is 0.0
                bits = spare
            np.bitwise_xor(block, bits, out=block)
            np.multiply(block, _MULTIPLIER, out=block)
            _xor_shifted(block, 29, spare)
        for shift, multiplier in _LAST_STEPS:
            _xor_shifted(block, shift, spare)
            np.multiply(block, np.uint64(multiplier), out=block)
        _xor_shifted(block, 33, spare)
    return hashes


def label_hashes(labels: Iterable[str]) -> NDArray[np.uint64]:
    """A hash of each label's text: the same in every process, which Python's own is not."""
    return np.array([_label_hash(label) for label in labels], np.uint64)


@functools.lru_cache(maxsize=2**16)  # batches bring the same labels again and again
def _label_hash(label: str) -> int:
    # text from files may hold halves of pairs of UTF-16
    return int.from_bytes(hashlib.blake2b(label.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")


def _xor_shifted(numbers: NDArray[np.uint64], shift: int, spare: NDArray[np.uint64]) -> None:
    np.right_shift(numbers, np.uint64(shift), out=spare)
    np.bitwise_xor(numbers, spare, out=numbers)
