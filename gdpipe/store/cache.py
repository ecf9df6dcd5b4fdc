"""What is kept between runs, in `OUTPUT/moments/`: small entries, each under a key that says all it depends on.

An entry is one JSON object, named by its key and by a checksum: the sha256 of key and bytes. So one switch makes it
whole; what is torn, damaged, of another key or not ours is known before it is read as JSON; and two runs that keep the
same thing at once write the same file. Nothing is ever changed in place, and the folder may be emptied at any time: it
costs one full read. The checksum has no secret: it finds accidents, not somebody who may write to the folder and makes
it anew.
"""

import contextlib
import hashlib
import json
import re
from typing import Any

from gdpipe.layout import MOMENTS
from gdpipe.printable import logger_named
from gdpipe.source.files import first_line
from gdpipe.store.place import Place
from gdpipe.store.writer import output_errors

logger = logger_named(__name__)

# what is named otherwise is not ours: neither read nor removed
ENTRY = re.compile(rf"{MOMENTS}/([0-9a-f]{{64}})-[0-9a-f]{{64}}\.json")


def key_of(of: Any) -> str:
    """The key of what is described: equal where the description is."""
    return hashlib.sha256(json.dumps(of, sort_keys=True).encode()).hexdigest()


class Cache:
    """The entries of one output, each under a description of all it depends on: plain values, nested as one likes."""

    def __init__(self, output: Place) -> None:
        self._output = output
        self._paths: dict[str, list[str]] = {}
        with contextlib.suppress(OSError):
            for path in output.files(MOMENTS):
                if entry := ENTRY.fullmatch(path):
                    self._paths.setdefault(entry[1], []).append(path)

    def load(self, of: Any) -> dict[str, Any] | None:
        """What was kept of what is described; None where there is nothing that is whole."""
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
                continue  # emptied meanwhile
            except (OSError, RecursionError, ValueError) as error:
                self._remove(path, f"damaged ({first_line(error)})")
            else:
                return entry
        return None

    def discard(self, of: Any, complaint: str) -> None:
        """Say why its entries cannot be used, and remove them if that is allowed."""
        for path in self._paths.pop(key_of(of), []):
            self._remove(path, complaint)

    def _remove(self, path: str, complaint: str) -> None:
        logger.warning("removing %s: %s; it is not used, and made anew", self._output.below(path), complaint)
        with contextlib.suppress(OSError):
            self._output.delete(path)

    def store(self, of: Any, entry: dict[str, Any]) -> None:
        """Keep plain values, by name.

        Raises:
            PublishError: They cannot be written. Only the next run would be slower for it; but a folder that takes no
                30 KB will not take the run's tables either, and one that is never written to makes every night read
                everything, unseen.
        """
        content = json.dumps({"of": of, **entry}).encode()
        with output_errors(f"cannot write to {self._output.below(MOMENTS)}"):
            # what a power cut tears, its name tells
            self._output.write(_path(key_of(of), content), content, outlasts_power_cut=False)


def _path(key: str, content: bytes) -> str:
    return f"{MOMENTS}/{key}-{hashlib.sha256(key.encode() + content).hexdigest()}.json"
