"""Runs below a prefix in an object store: objects appear whole, but there is no lock and no rename.

A run is written below `.staging/<run_id>-<signature>/` and copied object by object, its manifest last: readers ignore a
run without a manifest. The object `claim` there says that the run_id is taken, and by which run. Names without a
signature, and objects that a run's staging does not list, were not made by gdpipe, and stay.
"""

import contextlib
import datetime
import json
import uuid
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from gdpipe.errors import PublishError
from gdpipe.layout import MANIFEST, REJECTED, RUNS, STAGING, signed, signed_name
from gdpipe.printable import logger_named
from gdpipe.store.place import Lease, Place, Sink

logger = logger_named(__name__)

CLAIM = "claim"
# in the staging of a run that is being removed: the path of the run, and its files
RETIRED = ".retired.json"
# Only its age tells a dead run from a slow one. A run writes parts all the time; one that has written nothing for a day
# is taken for dead. If it does live, it fails in the end, since its parts are gone; it is never published torn.
DEAD_AFTER = datetime.timedelta(days=1)


class BucketPlace(Place):
    """A bucket and a prefix in it, on a PyArrow filesystem."""

    __slots__ = ()

    def __str__(self) -> str:
        place, question, options = self.location.partition("?")
        return "/".join(part for part in (place.rstrip("/"), self.inside) if part) + question + options

    def create(self, path: str) -> Sink:
        """A new object; it appears when it is closed."""
        # nothing to settle or to discard: objects are safe once they are closed, and do not exist before
        return Sink(self.filesystem.open_output_stream(self.full(path)), lambda _: None, lambda: None)

    def is_shared(self) -> bool:
        """True: an object store is reachable from every machine."""
        return True

    def write(self, path: str, content: bytes, *, outlasts_power_cut: bool = True) -> None:
        """Write or replace an object, which appears whole."""
        with self.filesystem.open_output_stream(self.full(path)) as stream:
            stream.write(content)

    def lease(self, run_id: str) -> Lease | None:
        """A lease of a run_id, by writing a claim: of two runs that write at the same time, the last one has it."""
        lease = _BucketLease(self, run_id)
        if self.exists(lease.claim):
            return None
        self.write(lease.claim, lease.token)
        return lease if self.read(lease.claim) == lease.token else None

    def clear_dead(self) -> list[str]:
        """Remove what runs have left that wrote nothing for a day: their staging, and their copied objects."""
        oldest = datetime.datetime.now(datetime.UTC) - DEAD_AFTER
        written: dict[str, datetime.datetime] = {}
        foreign = set()
        for info in self._list(STAGING):
            folder = info.path[len(self.full(STAGING)) + 1 :].partition("/")[0]
            if signed_name(folder) is None:
                foreign.add(folder)
            elif info.is_file:
                written[folder] = max(info.mtime, written.get(folder, info.mtime))
        for folder, mtime in written.items():
            run_id = signed_name(folder)
            assert run_id is not None
            copied = (info for kind in (RUNS, REJECTED) for info in self._list(f"{kind}/{run_id}") if info.is_file)
            if mtime < oldest and not any(info.mtime >= oldest for info in copied):
                logger.info("removing %s: left by a run that has ended", self.below(f"{STAGING}/{folder}"))
                with contextlib.suppress(FileNotFoundError):  # another run clears it, too
                    self.withdraw(run_id, self.read(f"{STAGING}/{folder}/{CLAIM}"))
                self.delete(f"{STAGING}/{folder}")
        return sorted(foreign)

    def withdraw(self, run_id: str, token: bytes) -> None:
        """Remove the objects that the owner of a claim has copied of a run without a manifest; all others stay.

        The owner's staging lists these objects, so it must be removed after them.
        """
        staged = self.below(f"{STAGING}/{signed(run_id)}")
        if token.decode(errors="replace") not in staged.folders():
            return  # the owner has not written anything
        staged = staged.below(token.decode())
        finals, files = [f"{kind}/{run_id}" for kind in (RUNS, REJECTED)], set(staged.files())
        if RETIRED in files:
            retired = json.loads(staged.read(RETIRED))
            finals, files = [retired["path"]], set(retired["files"])
        staged.delete(MANIFEST)  # so that an owner that lives after all cannot publish half a run
        for final in map(self.below, finals):
            found = set() if final.exists(MANIFEST) else set(final.files())
            if found & files:
                logger.info("removing %s: copied by a run that has not become visible", final)
                if found <= files:
                    final.delete("")
                else:
                    for file in found & files:
                        final.delete(file)


class _BucketLease(Lease):
    def __init__(self, place: BucketPlace, run_id: str) -> None:
        token = uuid.uuid4().hex
        self.token = token.encode()
        self.claim = f"{STAGING}/{signed(run_id)}/{CLAIM}"
        self.folder = f"{STAGING}/{signed(run_id)}/{token}"
        self._place = place
        self._run_id = run_id

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
        place = self._place
        files = [entry["path"] for entry in json.loads(place.read(f"{path}/{MANIFEST}"))["files"]]
        place.write(f"{self.folder}/{RETIRED}", json.dumps({"path": path, "files": files}).encode())
        place.delete(f"{path}/{MANIFEST}")
        place.withdraw(self._run_id, self.token)

    def release(self) -> None:
        with contextlib.suppress(OSError):
            ours = self._place.read(self.claim) == self.token
            if ours:
                self._place.withdraw(self._run_id, self.token)
            self._place.delete(self.claim.removesuffix(f"/{CLAIM}") if ours else self.folder)
