"""The design: the columns of a source that are read, and the terms of the regression made from them."""

from gdpipe.design.coded import Coded, Values, combined
from gdpipe.design.design import OTHER, Design, Term
from gdpipe.design.features import FUNCTIONS, PARTS, Category, Feature, Input, LevelKind, Number

__all__ = [
    "FUNCTIONS",
    "OTHER",
    "PARTS",
    "Category",
    "Coded",
    "Design",
    "Feature",
    "Input",
    "LevelKind",
    "Number",
    "Term",
    "Values",
    "combined",
]
