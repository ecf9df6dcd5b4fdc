"""Sums over terms and the target, put together from those over numbers and those by level.

A term is 1, or a number, in the rows of one level, and 0 in all others. So the sum of the product of two terms is a
weight, a sum or a product of the rows that have both levels: an entry of the sums by combinations of the two features'
categories, or 0 where no row has both.
"""

import functools
import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gdpipe.numerics.sums.block_moments import BlockMoments
from gdpipe.numerics.sums.float_moments import Float64Moments
from gdpipe.numerics.sums.levels import Key, Labels, LevelSums, TermBlock
from gdpipe.numerics.sums.moments import Moments


@dataclass(frozen=True, slots=True, eq=False)
class TermSums:
    """Sums over numbers and the target, and by level, from which those over terms and the target follow.

    Attributes:
        moments: Over the k columns of dense sums, of which the target is the last.
        levels: By key: of each of a block, and of the categories of each two together.
        blocks: The terms.
    """

    moments: Moments
    levels: Mapping[Key, LevelSums]
    blocks: tuple[TermBlock, ...]

    def exact(self) -> Moments:
        """The sums over terms and target: p + 1 columns, p² Python integers."""
        sums, exponents = self._sums()
        products = np.full((len(sums), len(sums)), 0, object)
        for rows, columns, values in self._products():
            products[rows, columns] = products[columns, rows] = values
        moments = self.moments
        return Moments(moments.n_samples, moments.weight, sums, products, exponents, moments.weight_exponent)

    def with_block(self, feature: int) -> BlockMoments:
        """The same for many terms, those of one feature as a block: no row has two of them."""
        moments = self.moments
        sums, exponents = self._sums()
        start = sum(len(block.labels) for block in self.blocks[:feature])
        block = np.arange(start, start + len(self.blocks[feature].labels))
        in_block = np.isin(np.arange(len(sums)), block)
        place = np.where(in_block, np.cumsum(in_block), np.cumsum(~in_block)) - 1
        m, rest = len(block), len(sums) - len(block)
        diagonal, border, corner = (np.full(shape, 0, object) for shape in ((m,), (m, rest), (rest, rest)))
        for rows, columns, values in self._products():
            if not len(rows):
                continue
            i, j = place[rows], place[columns]
            if in_block[rows[0]] and in_block[columns[0]]:
                diagonal[i] = values
            elif in_block[rows[0]]:
                border[i, j] = values
            elif in_block[columns[0]]:
                border[j, i] = values
            else:
                corner[i, j] = corner[j, i] = values
        return BlockMoments(
            moments.n_samples, moments.weight, sums, block, diagonal, border, corner, exponents, moments.weight_exponent
        )

    def rounded(self) -> Float64Moments:
        """The same in float64, for many terms: entries of terms that share rows are rounded once.

        All others are -Σw·zᵢ·Σw·zⱼ/Σw, in which three roundings are small beside the terms' standard deviations,
        because the terms share no row.
        """
        moments = self.moments
        sums, exponents = self._sums()
        if not moments.weight:
            return Float64Moments(moments.n_samples, 0.0, np.zeros(len(sums)), np.zeros((len(sums), len(sums))))
        means = np.ldexp((sums / moments.weight).astype(np.float64), exponents)
        weight = float(np.ldexp(float(moments.weight), moments.weight_exponent))
        comoments = np.multiply.outer(means * -weight, means)
        for rows, columns, values in self._products():
            # a quotient of integers is rounded once
            centred = (values * moments.weight - sums[rows] * sums[columns]) / moments.weight
            rounded = np.ldexp(
                centred.astype(np.float64), exponents[rows] + exponents[columns] + moments.weight_exponent
            )
            comoments[rows, columns] = comoments[columns, rows] = rounded
        return Float64Moments(moments.n_samples, weight, means, comoments)

    def _sums(self) -> tuple[NDArray[np.object_], NDArray[np.int64]]:
        """Σw·z of all terms and the target, and the exponents of their grids: that of 1 is 0."""
        sums: list[int] = []
        exponents: list[int] = []
        for block in self._blocks_and_target():
            of = self._levels_of(block.key)
            by_level = dict(zip(of.labels, _values(of, block).tolist(), strict=True))
            # a part of the rows may lack a level
            sums += [by_level.get(labels, 0) for labels in block.labels]
            exponent = 0 if block.number is None else int(self.moments.exponents[block.number])
            exponents += [exponent] * len(block.labels)
        return np.array(sums, object), np.array(exponents, np.int64)

    def _products(self) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.object_]]]:
        """Σw·zᵢ·zⱼ of terms that share rows: indices i and j, and the values, for each two blocks."""
        blocks = self._blocks_and_target()
        starts = [0, *itertools.accumulate(len(block.labels) for block in blocks[:-1])]
        placed = zip(blocks, starts, strict=True)
        places = functools.cache(_places)
        for (a, start), (b, other_start) in itertools.combinations_with_replacement(placed, 2):
            key = tuple(sorted({*a.key, *b.key}))
            of = self._levels_of(key)
            rows, columns = places(of.labels, key, a), places(of.labels, key, b)
            there = (rows >= 0) & (columns >= 0)
            yield start + rows[there], other_start + columns[there], _values(of, a, b)[there]

    def _blocks_and_target(self) -> tuple[TermBlock, ...]:
        return (*self.blocks, TermBlock(len(self.moments.sums) - 1, (), ((),)))

    def _levels_of(self, key: Key) -> LevelSums:
        if key:
            return self.levels[key]
        moments = self.moments
        return LevelSums(
            ((),),
            np.array([moments.n_samples]),
            np.array([moments.weight], object),
            moments.sums[None],
            moments.products[None],
            moments.exponents,
            moments.weight_exponent,
        )


def _values(of: LevelSums, *blocks: TermBlock) -> NDArray[np.object_]:
    """The sums of the blocks' numbers, multiplied, in the rows of each level; shape (L,)."""
    numbers = [block.number for block in blocks if block.number is not None]
    if not numbers:
        return of.weight
    if len(numbers) == 1:
        return of.sums[:, numbers[0]]
    number, other = numbers
    return of.products[:, number, other]


def _places(labels: tuple[Labels, ...], key: Key, block: TermBlock) -> NDArray[np.intp]:
    """The index of each level's term among those of a block, shape (L,); -1 where it has none."""
    if not block.key:
        return np.zeros(len(labels), np.intp)
    terms = {term: at for at, term in enumerate(block.labels)}
    of_block = [key.index(category) for category in block.key]
    return np.array([terms.get(tuple(each[at] for at in of_block), -1) for each in labels], np.intp)
