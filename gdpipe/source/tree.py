"""What lies in the folders below a source: on a disk, links among it, or in an object store, as its keys say."""

import os
import stat
from abc import ABC, abstractmethod
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

import pyarrow.fs as pafs

from gdpipe.errors import DataError

Kind = Literal["file", "folder", "link", "other"]


@dataclass(frozen=True, slots=True)
class Entry:
    """A name in a folder, and what it stands for; `other` is a pipe, a socket or a device."""

    name: str
    kind: Kind


class Tree(ABC):
    """The folders below one place."""

    @abstractmethod
    def entries(self, folder: str) -> Collection[Entry]:
        """What lies in a folder; nothing where there is no such folder."""

    def real(self, path: str) -> str:
        """The path with all links resolved."""
        return path

    def kind(self, path: str) -> Kind:
        """What a link leads to.

        Raises:
            DataError: It leads nowhere.
        """
        raise NotImplementedError(path)  # only disks have links


class DiskTree(Tree):
    """Folders on a disk, looked into when they are asked for."""

    def entries(self, folder: str) -> Collection[Entry]:
        """What lies in a folder; links are not followed."""
        try:
            with os.scandir(folder) as found:
                return [Entry(entry.name, _kind(entry)) for entry in found]
        except (FileNotFoundError, NotADirectoryError):
            return []

    def real(self, path: str) -> str:
        """The path with all links resolved."""
        return os.path.realpath(path)

    def kind(self, path: str) -> Kind:
        """What a link leads to."""
        try:
            mode = os.stat(path).st_mode
        except OSError as error:
            leads = os.readlink(path)
            raise DataError(
                f"{path}: a link to {leads}, which cannot be followed ({error.strerror}); correct or remove the link"
            ) from error
        return "folder" if stat.S_ISDIR(mode) else "file" if stat.S_ISREG(mode) else "other"


def _kind(entry: "os.DirEntry[str]") -> Kind:
    if entry.is_symlink():
        return "link"
    if entry.is_dir(follow_symlinks=False):
        return "folder"
    return "file" if entry.is_file(follow_symlinks=False) else "other"


class StoreTree(Tree):
    """The keys below a prefix, all listed at once: a thousand of them take one request.

    Args:
        filesystem: The object store.
        base: The prefix.
    """

    def __init__(self, filesystem: pafs.FileSystem, base: str) -> None:
        self._folders: dict[str, dict[str, Entry]] = {}
        for info in filesystem.get_file_info(pafs.FileSelector(base, recursive=True, allow_not_found=True)):
            path, kind = PurePosixPath(info.path), "file" if info.is_file else "folder"
            # not every store lists the folders that its keys only imply
            while str(path) != base and path.name not in self._folders.setdefault(str(path.parent), {}):
                self._folders[str(path.parent)][path.name] = Entry(path.name, "file" if kind == "file" else "folder")
                path, kind = path.parent, "folder"

    def entries(self, folder: str) -> Collection[Entry]:
        """What lies in a folder."""
        return self._folders.get(folder, {}).values()
