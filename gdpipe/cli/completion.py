"""Completion in the shell: files for paths, and the columns of SOURCE for settings that name columns.

Silent where a file cannot be read: nobody asked for anything yet.
"""

import re
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import Any

import click
import pyarrow.parquet as pq
from click.shell_completion import CompletionItem

from gdpipe.design.names import typed
from gdpipe.kinds import Column, Columns, Features, Location, alternatives, pieces
from gdpipe.location import is_uri
from gdpipe.source.files import partitions_of
from gdpipe.source.listing import find_files
from gdpipe.source.walk import relative

Complete = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]

# names that a shell takes as they are
_PLAIN = re.compile(r"[\w.+%@-]+")


def completion_of(kind: Any) -> Complete | None:
    """The completion of a setting of this type; None where click has one, as for choices, or where there is none."""
    kinds = alternatives(kind)
    if Location in kinds:
        return files
    if Column in kinds:
        return columns
    return lists_of_columns if Columns in kinds or Features in kinds else None


def files(context: click.Context, parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    """Files and folders, which the shell itself completes."""
    return [CompletionItem(begun, type="file")]


def columns(context: click.Context, parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    """The columns of SOURCE."""
    return [CompletionItem(name) for name in _columns(context) if name.startswith(begun)]


def lists_of_columns(context: click.Context, parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    """The columns of SOURCE for the last name of a,b,c, without the target and those that stand there already."""
    *named, last = pieces(begun, ",")
    before = begun[: len(begun) - len(last)]
    there = {*named, context.params.get("target")}
    return [CompletionItem(before + n) for n in _columns(context) if n.startswith(last) and n not in there]


def _columns(context: click.Context) -> list[str]:
    """The columns that the first file of SOURCE has, and those of its folders; none for a URI, which takes too long."""
    # click gives SOURCE no name while the option before the cursor has no value
    source = context.params.get("source") or next(iter(context.args), None)
    if not source or is_uri(source):
        return []
    try:
        listing = find_files(source)
        first = listing.files[0].path
        with listing.filesystem.open_input_file(first) as handle:
            names = pq.read_schema(handle).names
        # the folders of one file suffice: all have the same partition columns
        names += [n for n in partitions_of([PurePosixPath(relative(first, listing.base))])[0] if n not in names]
    except Exception:  # of any kind, as an error would be printed into the command that is being typed
        return []
    return [name for name in names if _PLAIN.fullmatch(name) and typed(name) == name]
