"""The cache between runs, in `OUTPUT/moments/`: small entries, each under a key made of all that it depends on.

An entry is a JSON object in a file named by its key and by a checksum, the sha256 of key and bytes. A file that is
incomplete, damaged, under another key or not gdpipe's is recognized before it is read as JSON, and two runs that store
the same entry at once write the same file. Files are never changed in place. The folder may be emptied at any time; the
next run then reads all input. The checksum has no secret: it finds accidents, but not a person who writes files with
right checksums.
"""

import contextlib
import hashlib
import json
import re
from collections.abc import Iterator
from typing import Any

from gdpipe.layout import MOMENTS
from gdpipe.printable import logger_named
from gdpipe.source.files import first_line
from gdpipe.store.place import Place
from gdpipe.store.writer import output_errors

logger = logger_named(__name__)

# files with other names are not gdpipe's, and are neither read nor removed
ENTRY = re.compile(rf"{MOMENTS}/([0-9a-f]{{64}})-[0-9a-f]{{64}}\.json")


def key_of(of: Any) -> str:
    """The key for a description; equal descriptions have equal keys."""
    return hashlib.sha256(json.dumps(of, sort_keys=True).encode()).hexdigest()


class Cache:
    """The cache of one output; descriptions of entries are plain values, nested in any way."""

    def __init__(self, output: Place) -> None:
        self._output = output
        self._paths: dict[str, list[str]] = {}
        with contextlib.suppress(OSError):
            for path in output.files(MOMENTS):
                if entry := ENTRY.fullmatch(path):
                    self._paths.setdefault(entry[1], []).append(path)

    def load(self, of: Any) -> dict[str, Any] | None:
        """The entry for a description; None where there is none that is whole."""
        key = key_of(of)
        for path in self._paths.get(key, []):
            try:
                content = self._output.read(path)
                if path != _path(key, content):
                    raise ValueError("its checksum is not the one in its name")
                entry = json.loads(content)
                if not isinstance(entry, dict) or key_of(entry.pop("of", None)) != key:
                    raise ValueError("it is of something else")
            except FileNotFoundError:
                continue  # the folder was emptied meanwhile
            except (OSError, RecursionError, ValueError) as error:
                self._remove(path, f"damaged ({first_line(error)})")
            else:
                return entry
        return None

    def entries(self) -> Iterator[dict[str, Any]]:
        """The entries that are whole, with their descriptions as `of`; those that are not are passed over."""
        for key, paths in self._paths.items():
            for path in paths:
                with contextlib.suppress(OSError, RecursionError, ValueError):
                    content = self._output.read(path)
                    entry = json.loads(content)
                    if path == _path(key, content) and isinstance(entry, dict) and key_of(entry.get("of")) == key:
                        yield entry

    def discard(self, of: Any, complaint: str) -> None:
        """Log why the entries for a description cannot be used, and remove them if that is allowed."""
        for path in self._paths.pop(key_of(of), []):
            self._remove(path, complaint)

    def _remove(self, path: str, complaint: str) -> None:
        logger.warning("removing %s: %s; it is not used, and made anew", self._output.below(path), complaint)
        with contextlib.suppress(OSError):
            self._output.delete(path)

    def store(self, of: Any, entry: dict[str, Any]) -> None:
        """Write an entry for a description: plain values, by name.

        Raises:
            PublishError: The entry cannot be written. A run could go on without it, but a folder without room for it
                has none for the run's tables, and without a cache every night would read all input unnoticed.
        """
        content = json.dumps({"of": of, **entry}).encode()
        with output_errors(f"cannot write to {self._output.below(MOMENTS)}"):
            # the checksum in the name finds a file that a power cut left incomplete
            self._output.write(_path(key_of(of), content), content, outlasts_power_cut=False)


def _path(key: str, content: bytes) -> str:
    return f"{MOMENTS}/{key}-{hashlib.sha256(key.encode() + content).hexdigest()}.json"
