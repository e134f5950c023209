"""Mailboxes from files: `DIR/mailboxes/<name>.jsonl.gz` with `<name>.folders.json`."""

import gzip
import json
import zlib
from pathlib import Path

from .folders import FoldersError, FolderTree, parse_folders
from .mailbox import Mailbox, MailboxError

_LINES = ".jsonl.gz"


class DataError(ValueError):
    """The data folder cannot be used; the message names the file and what is wrong with it."""


def read_mailboxes(directory: Path) -> dict[str, Mailbox]:
    """Every mailbox of a data folder, by name. Raises DataError."""
    place = directory / "mailboxes"
    files = sorted(place.glob(f"*{_LINES}")) if place.is_dir() else []
    if not files:
        raise DataError(f"{place}: holds no mailbox (a file <name>{_LINES} with <name>.folders.json beside it)")
    boxes = [_read(path) for path in files]
    return {box.name: box for box in boxes}


def _read(path: Path) -> Mailbox:
    name = path.name.removesuffix(_LINES)
    beside = path.with_name(f"{name}.folders.json")
    try:
        folders = parse_folders(json.loads(beside.read_text("utf-8")))
        mailbox = Mailbox(name, FolderTree(name, folders))
        with gzip.open(path) as lines:
            mailbox.load(lines)
    except FileNotFoundError as error:
        raise DataError(f"{error.filename}: is missing") from error
    except FoldersError as error:
        raise DataError(f"{beside}: {error}") from error
    except MailboxError as error:
        raise DataError(f"{path}: {error}") from error
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cannot be unpacked ({error})") from error
    except ValueError as error:
        raise DataError(f"{beside}: is not JSON ({error})") from error
    return mailbox
