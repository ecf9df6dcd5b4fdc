"""The design: the columns of a source that are read, and the terms of the regression made from them."""

from gdpipe.design.coded import Coded, Values, combined, in_rows
from gdpipe.design.coding import Term
from gdpipe.design.design import Design
from gdpipe.design.features import FUNCTIONS, PARTS, Category, Feature, Input, LevelKind, Number, margin
from gdpipe.design.formula import ColumnKind, features_of
from gdpipe.design.functions import applied, applied_name
from gdpipe.design.levels import OTHER
from gdpipe.design.manifest import design_from_manifest, design_to_manifest
from gdpipe.design.names import number_label, quoted
from gdpipe.design.needs import needed_instead

__all__ = [
    "FUNCTIONS",
    "OTHER",
    "PARTS",
    "Category",
    "Coded",
    "ColumnKind",
    "Design",
    "Feature",
    "Input",
    "LevelKind",
    "Number",
    "Term",
    "Values",
    "applied",
    "applied_name",
    "combined",
    "design_from_manifest",
    "design_to_manifest",
    "features_of",
    "in_rows",
    "margin",
    "needed_instead",
    "number_label",
    "quoted",
]
