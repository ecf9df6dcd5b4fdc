"""A prefix in an object store that runs are kept in: objects appear whole, but there is no lock and no rename.

A run is written below `.staging/<run_id>/`, copied object by object, and its manifest last: a run without a manifest is
not there. A claim, `.staging/<run_id>/claim`, says that a name is taken, and by whom.
"""

import contextlib
import datetime
import uuid
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

import pyarrow.fs as pafs

from gdpipe.errors import PublishError
from gdpipe.tables.place import MANIFEST, REJECTED, RUNS, STAGING, Hold, Place, Sink

CLAIM = "claim"
# Nothing tells a dead run from a slow one but its age. A run writes its parts all along; one that has written nothing
# for a day is dead, or fails in the end, since what it wrote is gone: it is never published torn.
DEAD_AFTER = datetime.timedelta(days=1)


class BucketPlace(Place):
    """A bucket and a prefix in it, as PyArrow's filesystems know them."""

    __slots__ = ()

    def __str__(self) -> str:
        place, question, options = self.location.partition("?")
        return "/".join(part for part in (place.rstrip("/"), self.inside) if part) + question + options

    def create(self, path: str) -> Sink:
        """Start an object; it appears when it is closed."""
        return Sink(self.filesystem.open_output_stream(self.full(path)), _nothing, _nothing)

    def is_shared(self) -> bool:
        """It is, for all who may use it."""
        return True

    def write(self, path: str, content: bytes, *, outlasts_power_cut: bool = True) -> None:
        """Put an object, in one go."""
        with self.filesystem.open_output_stream(self.full(path)) as stream:
            stream.write(content)

    def hold(self, run_id: str) -> Hold | None:
        """Take a run_id by putting a claim: of two that do so in one instant, the last to write has it."""
        hold = _BucketHold(self, run_id)
        if self.exists(hold.claim):
            return None
        self.write(hold.claim, hold.token)
        return hold if self.read(hold.claim) == hold.token else None

    def clear_dead(self) -> None:
        """Remove what nobody has written to for long: in staging, and where copying stopped before the manifest."""
        oldest = datetime.datetime.now(datetime.UTC) - DEAD_AFTER
        for kind in (STAGING, RUNS, REJECTED):
            runs: dict[str, list[pafs.FileInfo]] = {}
            for info in self._list(kind):
                if info.is_file:
                    run_id = info.path[len(self.full(kind)) + 1 :].partition("/")[0]
                    runs.setdefault(run_id, []).append(info)
            for run_id, infos in runs.items():
                whole = self.full(f"{kind}/{run_id}/{MANIFEST}") in (info.path for info in infos)
                if max(info.mtime for info in infos) < oldest and not whole:
                    self.delete(f"{kind}/{run_id}")


class _BucketHold(Hold):
    def __init__(self, place: BucketPlace, run_id: str) -> None:
        token = uuid.uuid4().hex
        self.token = token.encode()
        self.claim = f"{STAGING}/{run_id}/{CLAIM}"
        self.folder = f"{STAGING}/{run_id}/{token}"
        self._place = place

    def settle(self, path: str) -> None:
        place = self._place
        if place.exists(f"{path}/{MANIFEST}"):
            return
        if place.read(self.claim) != self.token:
            raise PublishError(f"{place}: another run took the name of {path!r} in the same instant; run again")
        staged, final = place.below(self.folder), place.below(path)
        files = staged.files()
        self._copy([file for file in files if file != MANIFEST], staged, final)
        missing = set(files) - {MANIFEST} - set(final.files())
        if missing:
            raise OSError(f"{final}: {min(missing)} was copied and is not there")
        self._copy([MANIFEST], staged, final)

    def _copy(self, files: Iterable[str], staged: Place, final: Place) -> None:
        def copy(file: str) -> None:
            self._place.filesystem.copy_file(staged.full(file), final.full(file))

        with ThreadPoolExecutor() as threads:
            list(threads.map(copy, files))

    def retire(self, path: str) -> None:
        self._place.delete(f"{path}/{MANIFEST}")
        self._place.delete(path)

    def release(self) -> None:
        with contextlib.suppress(OSError):
            ours = self._place.read(self.claim) == self.token
            self._place.delete(self.claim.removesuffix(f"/{CLAIM}") if ours else self.folder)


def _nothing(_: object = None) -> None:
    """What a store has taken is safe, and what was not closed is not there."""
