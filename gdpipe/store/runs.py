"""Runs in an output: staging, manifest, checksums, and the atomic switch of `latest.json`.

A run is written into staging as a whole, and then moved to `runs/<run_id>` or `rejected/<run_id>`. Only then
`latest.json` is replaced, which is atomic, too, unless the run is not to be the latest. A reader sees the previous run
or the new one, even if the process is killed at any time.
"""

import contextlib
import json
import os
from types import TracebackType
from typing import Any

from gdpipe.config import check_run_id
from gdpipe.errors import ConfigError, PublishError
from gdpipe.layout import LATEST, MANIFEST, REJECTED, RUNS, STAGING
from gdpipe.location import is_mistyped, is_uri, shown
from gdpipe.printable import abridged, logger_named
from gdpipe.source.files import first_line, is_transient, is_utf8, open_location
from gdpipe.store.bucket import BucketPlace
from gdpipe.store.catalog import SCHEMA_VERSION
from gdpipe.store.disk import DiskPlace
from gdpipe.store.place import Lease, Place
from gdpipe.store.shape import BY_KIND, HEADER, misfit, read_json, unlisted
from gdpipe.store.writer import digest, output_errors, write_text

logger = logger_named(__name__)


def place_at(location: str | os.PathLike[str]) -> Place:
    """The place that a path or URI means, on a disk or in an object store; the place need not exist.

    Raises:
        ConfigError: PyArrow cannot open the URI.
        PublishError: The path is not UTF-8, or the object store does not say in which region the bucket is.
    """
    location = os.fspath(location)
    if not is_utf8(location):
        raise PublishError(f"{location!r}: a path that is not UTF-8, which gdpipe cannot open; rename it")
    if not is_uri(location) and not is_mistyped(location):
        return DiskPlace.of(location)
    try:
        filesystem, path = open_location(location)
    except ValueError as error:
        raise ConfigError(f"cannot open {shown(location)!r}: {error}") from None
    except OSError as error:
        raise _unreadable(shown(location), error) from None
    if filesystem.type_name == "local":
        return DiskPlace.of(path)
    return BucketPlace(filesystem, path.rstrip("/"), shown(location))


class Staging:
    """A run that is being written; a context manager that removes it, unless it was published or rejected.

    Args:
        output: The folder of all runs; it is made if it does not exist.
        run_id: The new run's name.
        is_ours: Whether `latest.json` is known to be gdpipe's; otherwise it is checked.

    Raises:
        ConfigError: A run of that name exists, or is being written.
        PublishError: The folder cannot be made, its file system cannot do what is needed, or a link or another
            program's file is where gdpipe writes.
    """

    def __init__(self, output: str | os.PathLike[str], run_id: str, *, is_ours: bool = False) -> None:
        self.output = place_at(output)
        self._is_ours = is_ours
        self.run_id = run_id

    def __enter__(self) -> "Staging":
        with output_errors(f"cannot write to {self.output}"):
            if strange := self.output.clear_dead():
                names = abridged(list(map(repr, strange)))
                logger.info("not made by gdpipe, and left alone in %s: %s", self.output.below(STAGING), names)
            if not self._is_ours:
                _check_pointer(self.output)
            lease = self.output.lease(self.run_id)
            if lease is None:
                raise ConfigError(f"run_id {self.run_id!r}: a run of that name is being written to {self.output}")
            try:
                for kind in (RUNS, REJECTED):
                    path = f"{kind}/{self.run_id}"
                    if self.output.exists(path):
                        raise ConfigError(f"run_id {self.run_id!r}: {self.output.below(path)} is there already")
            except BaseException:
                lease.release()
                raise
        self._lease: Lease = lease
        self._settled = False
        self.folder = self.output.below(lease.folder)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):
            if not self._settled and self.folder.exists(""):
                logger.info("removing %s: the run has ended and is not kept", self.folder)
        self._lease.release()

    def drop(self, path: str) -> None:
        """Remove a file or folder of the run."""
        with output_errors(f"cannot write to {self.folder}"):
            logger.info("removing %s: the run is not published", self.folder.below(path))
            self.folder.delete(path)

    def publish(self, manifest: dict[str, Any], *, latest: bool = True) -> Place:
        """Make the run visible, and switch `latest.json` to it unless it is not to be the latest.

        The method may be called again where it failed half-way.

        Raises:
            PublishError: A file could not be written; the previous run is still the latest.
        """
        final = self._finish(RUNS, manifest)
        if not latest:
            return final
        pointer = {"schema_version": SCHEMA_VERSION, "run_id": self.run_id, "path": f"{RUNS}/{self.run_id}"}
        with output_errors(f"cannot switch {self.output.below(LATEST)}"):
            self.output.write(LATEST, (json.dumps(pointer, indent=2) + "\n").encode())
        return final

    def reject(self, manifest: dict[str, Any]) -> Place:
        """Move the run to `rejected/`, where it is evidence and no reader finds it."""
        return self._finish(REJECTED, manifest)

    def _finish(self, kind: str, manifest: dict[str, Any]) -> Place:
        path = f"{kind}/{self.run_id}"
        final = self.output.below(path)
        with output_errors(f"cannot write {final}"):
            # after an earlier attempt the run may be there already; a visible run is never written to
            if not final.exists(MANIFEST):
                there = self.folder.files()
                for entry in manifest["files"]:
                    if there.get(entry["path"]) != entry["bytes"]:
                        raise PublishError(f"{self.folder.below(entry['path'])} is not there as written; run again")
                write_text(self.folder, MANIFEST, json.dumps(manifest, indent=2, default=str) + "\n")
            self._lease.settle(path)
        self._settled = True
        return final


def latest_folder(place: Place) -> Place:
    """The folder of the run that `latest.json` names, or the place itself where it is the folder of a run.

    Raises:
        PublishError: There is no published run, or the pointer is damaged.
    """
    with output_errors(f"cannot read {place}"):
        if place.exists(MANIFEST):
            return place
    if found := find_latest(place):
        return found
    with output_errors(f"cannot read {place}"):
        for run_id in reversed(place.folders(RUNS)):
            if place.exists(f"{RUNS}/{run_id}/{MANIFEST}"):
                such = f"name one of its runs, such as {place.below(f'{RUNS}/{run_id}')}"
                raise PublishError(f"{place}: no run there is the latest (no {LATEST}); {such}")
    raise PublishError(f"{place}: no published run there (no {LATEST}, no {MANIFEST})")


def find_latest(output: Place) -> Place | None:
    """The folder of the run that `latest.json` names; None where nothing has been published yet.

    Raises:
        PublishError: The pointer is damaged.
    """
    run_id = latest_run_id(output)
    return None if run_id is None else output.below(f"{RUNS}/{run_id}")


def latest_run_id(place: Place) -> str | None:
    """The name in `latest.json`; None where nothing has been published yet.

    Raises:
        PublishError: The pointer is damaged.
    """
    where = place.below(LATEST)
    try:
        run_id = read_json(place.read(LATEST))["run_id"]
        check_run_id(run_id)
    except FileNotFoundError:
        return None
    except ConfigError:
        raise PublishError(f"{where}: names {run_id!r:.100}, which is no run's name") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _unreadable(where, error) from error
    return str(run_id)


def _check_pointer(output: Place) -> None:
    """Check that `latest.json`, if any, is gdpipe's, damaged or not: a run would replace another program's."""
    with contextlib.suppress(FileNotFoundError):
        content = output.read(LATEST)
        with contextlib.suppress(ValueError, RecursionError):
            pointer = json.loads(content)
            if pointer and isinstance(pointer, dict) and "run_id" not in pointer:
                reason = "is not gdpipe's (it has no run_id), and a run would replace it"
                raise PublishError(f"{output.below(LATEST)} {reason}; move it away, or give another output")


def read_manifest(folder: Place) -> dict[str, Any]:
    """A run's manifest, checked to have every field that gdpipe reads, with its type.

    Raises:
        PublishError: The manifest is missing or damaged, or names files outside of the run.
    """
    where = folder.below(MANIFEST)
    try:
        manifest: dict[str, Any] = read_json(folder.read(MANIFEST))
        if fault := misfit(manifest, {"schema_version": int}):
            raise ValueError(fault)
        if (version := manifest["schema_version"]) != SCHEMA_VERSION:
            raise PublishError(f"{where}: schema version {version} is not known to this program")
        if fault := misfit(manifest, HEADER):
            raise ValueError(fault)
        if (kind := manifest["kind"]) not in BY_KIND:
            raise PublishError(f"{where}: kind {kind!r:.100} is not known to this program")
        if fault := misfit(manifest, BY_KIND[kind]):
            raise ValueError(fault)
        for entry in manifest["files"]:
            folder.below(entry["path"])
        paths = [entry["path"] for entry in manifest["files"]]
        if len(set(paths)) < len(paths):
            raise ValueError("a file is listed twice")
    except (OSError, ValueError, TypeError) as error:
        raise _unreadable(where, error) from error
    return manifest


def damaged_files(folder: Place, manifest: dict[str, Any]) -> list[str]:
    """Files of a run that differ from its manifest, one line each; empty where none does.

    Raises:
        PublishError: The object store does not answer.
    """
    complaints = [f"{MANIFEST}: does not list {name}" for name in unlisted(manifest)]
    for entry in manifest["files"]:
        try:
            size, sha256 = digest(folder, entry["path"])
        except OSError as error:
            if is_transient(error):
                raise _unreadable(folder.below(entry["path"]), error) from error
            complaints.append(f"{entry['path']}: {error.strerror or error}")
            continue
        if size != entry["bytes"]:
            complaints.append(f"{entry['path']}: {size:,} bytes, the manifest says {entry['bytes']:,}")
        elif sha256 != entry["sha256"]:
            complaints.append(f"{entry['path']}: its content has changed (sha256 differs)")
    return complaints


def _unreadable(where: Place | str, error: Exception) -> PublishError:
    transient = isinstance(error, OSError) and is_transient(error)
    return PublishError(f"{where}: cannot be read ({first_line(error)})", transient=transient)
