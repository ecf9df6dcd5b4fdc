"""Files that hold tables but are not Parquet: what they are, and a command that makes Parquet of them."""

import re
import shlex
from pathlib import PurePosixPath

# an empty text is a missing one, not a level of its own
_CELLS = (
    "import pyarrow.csv as c, pyarrow.parquet as p; p.write_table(c.read_csv({{path!r}}, {more}"
    "convert_options=c.ConvertOptions(strings_can_be_null=True)), {{to!r}})"
)
_LINES = "import pyarrow.json as j, pyarrow.parquet as p; p.write_table(j.read_json({path!r}), {to!r})"
# the ending of a name -> the format, and a program that writes the file as Parquet
_FORMATS = {
    ".csv": ("CSV", _CELLS.format(more="")),
    ".tsv": ("tab-separated text", _CELLS.format(more="parse_options=c.ParseOptions(delimiter=chr(9)), ")),
    ".jsonl": ("lines of JSON", _LINES),
    ".ndjson": ("lines of JSON", _LINES),
    ".json": ("JSON", "import pandas; pandas.read_json({path!r}).to_parquet({to!r})"),
    ".feather": (
        "Feather",
        "import pyarrow.feather as f, pyarrow.parquet as p; p.write_table(f.read_table({path!r}), {to!r})",
    ),
    ".arrow": (
        "Arrow",
        "import pyarrow as a, pyarrow.parquet as p; p.write_table(a.ipc.open_file({path!r}).read_all(), {to!r})",
    ),
    ".orc": ("ORC", "import pyarrow.orc as o, pyarrow.parquet as p; p.write_table(o.read_table({path!r}), {to!r})"),
    ".xlsx": ("an Excel workbook", "import pandas; pandas.read_excel({path!r}).to_parquet({to!r})"),
    ".xls": ("an Excel workbook", "import pandas; pandas.read_excel({path!r}).to_parquet({to!r})"),
}
# endings of compressed files, which the readers above open by their name
_COMPRESSED = (".gz", ".bz2", ".zst")


def not_parquet(path: str, where: str) -> str | None:
    """What a file is by its name, and how it becomes Parquet, in one line; None where its name says nothing.

    Args:
        path: The file.
        where: Its path or URI for the message; a URI gets no command, as other programs open it in another way.
    """
    name = PurePosixPath(path).name
    plain = name[: -len(PurePosixPath(name).suffix)] if name.lower().endswith(_COMPRESSED) else name
    ending = PurePosixPath(plain).suffix.lower()
    if ending not in _FORMATS:
        return None
    kind, program = _FORMATS[ending]
    if "://" in where:
        return f"{where}: {kind}, and gdpipe reads Parquet; write it as Parquet first"
    to = f"{where[: -len(name)]}{plain[: -len(ending)]}.parquet"
    line = program.format(path=where, to=to)
    quoted = shlex.quote(line) if re.search(r'["$`\\!]', line) else f'"{line}"'
    return f"{where}: {kind}, and gdpipe reads Parquet; make it with: python -c {quoted}"
