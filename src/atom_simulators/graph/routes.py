"""From a Graph path to the handler that serves it.

Names in a path are read without regard to case, ids with it. `/mailFolders('ID')` is `/mailFolders/ID`, and
`delta`, `delta()` and `microsoft.graph.delta()` are one.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from . import delta, directory, folder_pages, pages
from .errors import GraphError, method_not_allowed, unknown_segment
from .folders import Folder
from .scope import Scope
from .wire import Answer

Serve = Callable[[Scope], Answer]
_KEYED = re.compile(r"([A-Za-z]+)\('(.*)'\)", re.DOTALL)
_DELTA = re.compile(r"(microsoft\.graph\.)?delta(\(\))?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Route:
    """Where a call leads: the operation that faults count, the user it names, and what serves it."""

    operation: str
    owner: str
    serve: Serve
    mail: bool = True


def find_route(method: str, segments: list[str]) -> Route:
    """The route of a path below the version. Raises GraphError: 400 for a path to nothing, 405, 403 for writes."""
    parts = _parts(segments)
    owner, rest = _owner(parts)
    names = [part.lower() for part in rest]
    if names == ["translateexchangeids"]:
        if method != "POST":
            raise method_not_allowed()
        return Route("other", owner, directory.translate_ids)
    route = _read(owner, rest, names)
    if method != "GET":
        # Reading is all that this app may do.
        raise GraphError(403, "ErrorAccessDenied", "Access is denied. Check credentials and try again.")
    return route


def _parts(segments: list[str]) -> list[str]:
    parts: list[str] = []
    for segment in segments:
        keyed = _KEYED.fullmatch(segment)
        if keyed is not None:
            parts += [keyed[1], keyed[2].replace("''", "'")]
        elif _DELTA.fullmatch(segment):
            parts.append("delta")
        else:
            parts.append(segment)
    return parts


def _owner(parts: list[str]) -> tuple[str, list[str]]:
    if parts and parts[0].lower() == "me":
        return "me", parts[1:]
    if len(parts) > 1 and parts[0].lower() == "users":
        return parts[1], parts[2:]
    raise unknown_segment(parts[0] if parts else "")


def _read(owner: str, rest: list[str], names: list[str]) -> Route:
    match names:
        case []:
            return Route("other", owner, directory.get_user, mail=False)
        case ["messages", *_]:
            return Route(*_of_messages(owner, rest[1:], None))
        case ["mailfolders"]:
            return Route("folders", owner, _root_folders)
        case ["mailfolders", "$count"]:
            return Route("folders", owner, lambda s: folder_pages.count_folders(s, s.mailbox.tree.root))
        case ["mailfolders", "delta"]:
            return Route("folders", owner, delta.folders)
        case ["mailfolders", _]:
            return Route("folders", owner, lambda s: folder_pages.get_folder(s, folder_pages.find(s, rest[1])))
        case ["mailfolders", _, "childfolders"]:
            return Route("folders", owner, lambda s: _children(s, rest[1]))
        case ["mailfolders", _, "messages", *_]:
            return Route(*_of_messages(owner, rest[3:], rest[1]))
        case _:
            raise unknown_segment(rest[-1])


def _of_messages(owner: str, rest: list[str], folder: str | None) -> tuple[str, str, Serve]:
    match rest:
        case []:
            return "messages", owner, lambda s: pages.list_messages(s, _folder(s, folder), folder or "")
        case ["$count"]:
            return "count", owner, lambda s: pages.count_messages(s, _folder(s, folder))
        case ["delta"] if folder is not None:
            return "delta", owner, lambda s: delta.messages(s, folder_pages.find(s, folder))
        case [item]:
            return "message", owner, lambda s: pages.get_message(s, item, _folder(s, folder))
        case [item, "$value"]:
            return "message", owner, lambda s: pages.get_mime(s, item, _folder(s, folder))
        case [item, name] if name.lower() == "attachments":
            return "message", owner, lambda s: pages.list_attachments(s, item)
        case [item, name, part] if name.lower() == "attachments":
            return "message", owner, lambda s: pages.get_attachment(s, item, part)
        case [item, name, part, "$value"] if name.lower() == "attachments":
            return "message", owner, lambda s: pages.get_attachment(s, item, part, value=True)
        case _:
            raise unknown_segment(rest[1])


def _folder(scope: Scope, name: str | None) -> Folder | None:
    return None if name is None else folder_pages.find(scope, name)


def _root_folders(scope: Scope) -> Answer:
    return folder_pages.list_folders(scope, scope.mailbox.tree.root, "mailFolders")


def _children(scope: Scope, name: str) -> Answer:
    return folder_pages.list_folders(scope, folder_pages.find(scope, name), f"mailFolders('{name}')/childFolders")
