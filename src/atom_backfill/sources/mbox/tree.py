"""Finds the mail files below a path and the folders that they make up."""

from __future__ import annotations

import hashlib
import os
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from atom_backfill.errors import NeedsOwnerError
from atom_backfill.sources.mbox.formats import HEAD_BYTES, FileKind, describe, recognise
from atom_backfill.sources.paths import segment

DEPTH_LIMIT = 64
SNIFF_BYTES = 8192
ID_CHARACTERS = 1024


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A mail file: `path` relative to the root, in the system's bytes; `folder` its folder's segments for people.

    `folder_id` is stable as long as the files stay where they are. size in bytes, mtime_ns since the epoch.
    """

    path: bytes
    folder: tuple[str, ...]
    folder_id: str
    kind: FileKind
    size: int
    mtime_ns: int


def find_files(root: Path) -> Iterator[FoundFile]:
    """Find every mail file at or below a root that was resolved, in no order. Raises NeedsOwnerError where none is.

    Links are followed only to what lies below the root; devices and pipes are never opened.
    """
    try:
        if root.is_file():
            yield _single(root)
            return
        if not root.is_dir():
            raise _not_found(root)
        finder = _Finder(root)
        yield from finder.walk()
    except PermissionError as error:
        raise NeedsOwnerError(
            "cannot_read_files", f"Not allowed to read {root}: give this user the right to read it."
        ) from error
    except OSError as error:  # a disk that fails, a share that is gone: not to be taken for the index's own trouble
        raise NeedsOwnerError(
            "cannot_read_files",
            f"{root} cannot be read ({error.strerror}): see to the disk or the share that holds it.",
        ) from error
    if not finder.found:
        raise _nothing_found(root, finder.others)


def read_head(path: Path, size: int = HEAD_BYTES) -> bytes:
    """Read the first bytes of a file."""
    with path.open("rb") as file:
        return file.read(size)


def _single(root: Path) -> FoundFile:
    head = read_head(root)
    kind = recognise(head, root.name)
    if kind is FileKind.OTHER:
        raise NeedsOwnerError(
            "not_mail",
            f"{root.name} is {describe(head, root.name)}, not mail. {_WANTED}",
        )
    stat = root.stat()
    name = _mbox_name(root.name) if kind is FileKind.MBOX else root.stem
    return FoundFile(b"", (_segment(name),), "./", kind, stat.st_size, stat.st_mtime_ns)


class _Finder:
    def __init__(self, root: Path) -> None:
        self._root = root
        self._visited: set[str] = set()
        self.found = False
        self.others: Counter[str] = Counter()

    def walk(self) -> Iterator[FoundFile]:
        if _is_maildir(self._root):
            yield from self._maildir(self._root, ("Inbox",), (), 0)
        else:
            yield from self._directory(self._root, (), 0)

    def _directory(self, directory: Path, folder: tuple[str, ...], depth: int) -> Iterator[FoundFile]:
        if depth > DEPTH_LIMIT or not self._enter(directory):
            return
        for entry in self._entries(directory):
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                below = (*folder, _segment(_directory_name(entry.name)))
                yield from self._below(directory / entry.name, below, depth + 1)
            elif entry.is_file():
                yield from self._file(directory / entry.name, entry, folder)

    def _below(self, directory: Path, folder: tuple[str, ...], depth: int) -> Iterator[FoundFile]:
        if _is_maildir(directory):
            yield from self._maildir(directory, folder, folder, depth)
        else:
            yield from self._directory(directory, folder, depth)

    def _file(self, path: Path, entry: os.DirEntry[str], folder: tuple[str, ...]) -> Iterator[FoundFile]:
        try:
            head = read_head(path, SNIFF_BYTES)
            if path.suffix.lower() in (".mbox", ".mbx"):
                head = read_head(path)
            kind = recognise(head, path.name)
        except FileNotFoundError:
            return
        except OSError:
            # Named like mail: told as a failure later. Anything else is none of our business.
            kind = FileKind.EML if path.suffix.lower() in (".eml", ".mbox", ".mbx") else FileKind.OTHER
        if kind is FileKind.OTHER:
            self.others[path.suffix.lower()[:9] or "no extension"] += 1
        elif kind is FileKind.EML:
            shown = folder or (_segment(self._root.name),)
            yield from self._found(path, entry, shown, self._id(path.parent) + "/", kind)
        elif path.name.lower() == "mbox" and folder and path.parent.suffix.lower() == ".mbox":  # Apple Mail
            yield from self._found(path, entry, folder, self._id(path), kind)
        else:
            yield from self._found(path, entry, (*folder, _segment(_mbox_name(path.name))), self._id(path), kind)

    def _maildir(
        self, directory: Path, folder: tuple[str, ...], prefix: tuple[str, ...], depth: int
    ) -> Iterator[FoundFile]:
        if depth > DEPTH_LIMIT or not self._enter(directory):
            return
        for part in ("cur", "new"):
            for entry in self._entries(directory / part):
                if entry.is_file() and not entry.name.startswith("."):
                    path = directory / part / entry.name
                    yield from self._found(path, entry, folder, self._id(directory) + "/", FileKind.EML)
        for entry in self._entries(directory):
            if not entry.is_dir() or entry.name in ("cur", "new", "tmp"):
                continue
            dotted = entry.name.startswith(".")  # Maildir++: ".Projects.Atlas" lies below "Projects"
            names = [_from_utf7(name) for name in entry.name.split(".") if name] if dotted else [entry.name]
            if _is_maildir(directory / entry.name):
                below = (*prefix, *map(_segment, names))
                yield from self._maildir(directory / entry.name, below, below, depth + 1)

    def _found(
        self, path: Path, entry: os.DirEntry[str], folder: tuple[str, ...], folder_id: str, kind: FileKind
    ) -> Iterator[FoundFile]:
        self.found = True
        with suppress(FileNotFoundError):  # mail programs rename files at any time; the next walk finds it again
            stat = entry.stat()
            relative = os.fsencode(path.relative_to(self._root))
            yield FoundFile(relative, folder, folder_id, kind, stat.st_size, stat.st_mtime_ns)

    def _entries(self, directory: Path) -> Iterator[os.DirEntry[str]]:
        try:
            entries = os.scandir(directory)
        except FileNotFoundError:
            return
        with entries:
            for entry in entries:
                if not entry.is_symlink() or self._is_inside(directory / entry.name):
                    yield entry

    def _is_inside(self, path: Path) -> bool:
        try:
            return path.resolve(strict=True).is_relative_to(self._root)
        except (OSError, RuntimeError):
            return False

    def _enter(self, directory: Path) -> bool:
        real = os.path.realpath(directory)
        fresh = real not in self._visited
        self._visited.add(real)
        return fresh

    def _id(self, path: Path) -> str:
        """Name a folder by its path; the tail of one that no index of a database takes is told by its hash."""
        text = quote(os.fsencode(path.relative_to(self._root)), safe="/ ")
        if len(text) <= ID_CHARACTERS:
            return text
        return f"{text[: ID_CHARACTERS - 65]}~{hashlib.sha256(text.encode('ascii')).hexdigest()}"


def _is_maildir(directory: Path) -> bool:
    return (directory / "cur").is_dir() and ((directory / "new").is_dir() or (directory / "tmp").is_dir())


def _segment(name: str) -> str:
    return segment(os.fsencode(name).decode("utf-8", "replace"))


def _mbox_name(name: str) -> str:
    return re.sub(r"\.(?:mbox|mbx)\Z", "", name, flags=re.IGNORECASE) or name


def _directory_name(name: str) -> str:
    # Thunderbird keeps the folders below "Projects" in "Projects.sbd"; Apple Mail keeps "Projects" in "Projects.mbox".
    return re.sub(r"\.(?:sbd|mbox)\Z", "", name, flags=re.IGNORECASE) or name


def _from_utf7(name: str) -> str:
    """Read a folder name in IMAP's modified UTF-7 (RFC 3501, 5.1.3); what is none stays as it is."""

    def decoded(match: re.Match[str]) -> str:
        if not match[1]:
            return "&"
        try:
            return f"+{match[1].replace(',', '/')}-".encode("ascii").decode("utf-7")
        except UnicodeError:
            return match[0]

    return re.sub(r"&([A-Za-z0-9+,]*)-", decoded, name)


def _not_found(root: Path) -> NeedsOwnerError:
    return NeedsOwnerError("path_not_found", f"There is no file or folder {root}: check the path.")


def _nothing_found(root: Path, others: Counter[str]) -> NeedsOwnerError:
    if not others:
        return NeedsOwnerError("no_mail", f"{root} holds no mail: the folder is empty.")
    found = ", ".join(f"{count} {extension}" for extension, count in others.most_common(4))
    return NeedsOwnerError(
        "no_mail",
        f"{root} holds no mail (found: {found}). {_WANTED}",
    )


_WANTED = "Name an mbox file, a Maildir, or a folder of mbox or .eml files."
