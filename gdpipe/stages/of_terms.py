"""Sums of a scan, made sums of terms."""

import dataclasses

from gdpipe.stages.scan.row_sums import Sums
from gdpipe.terms import Terms


def over_terms(terms: Terms, sums: Sums) -> Sums:
    """The sums of some rows over terms and the target, in place of those over numbers; folds stay as they are."""
    fitted, held_out = terms.over_terms(sums.of_cells), sums.held_out
    if held_out and terms.design.categories:
        held_out = terms.over_terms(dataclasses.replace(held_out, levels=terms.as_known(held_out.levels)))
    return dataclasses.replace(sums, moments=fitted.moments, levels=fitted.levels, held_out=held_out)
