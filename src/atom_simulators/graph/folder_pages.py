"""Folder resources: lists, single folders, and their counts."""

from collections.abc import Mapping
from functools import partial

from . import ids, pages, schema
from .conditions import Lookup, comparable, holds, rank
from .errors import folder_not_found, malformed_id
from .folders import SEARCH_FOLDER, Folder
from .options import Options, folder_options, is_true
from .scope import JsonObject, Scope, page_shift
from .wire import Answer


def list_folders(scope: Scope, parent: Folder, what: str) -> Answer:
    """A page of the folders right below another; hidden ones only with includeHiddenFolders=true."""
    options = folder_options(scope.call.query, scope.quirks)
    hidden = is_true(scope.call.query.get("includeHiddenFolders", ""))
    children = _choose(scope, parent, options, hidden=hidden)
    shown = 0 if scope.is_struck("empty_page") else options.page
    place = max(0, options.skip - page_shift(options.token))
    content: JsonObject = {"@odata.context": scope.context(what + _selected(options))}
    if options.count:
        content["@odata.count"] = len(children)
    repeated = children[max(0, place - 1) : max(0, place - 1) + 1] if scope.is_struck("dup") else []
    found = [*repeated, *children[place : place + shown]]
    content["value"] = [resource(scope, folder, options, hidden=hidden) for folder in found]
    more = place + shown < len(children)
    pages.put_next_link(scope, content, pages.next_link(scope, options, shown) if more else None)
    return Answer(content=content)


def count_folders(scope: Scope, parent: Folder) -> Answer:
    """`/mailFolders/$count`: how many folders the list has."""
    options = folder_options(scope.call.query, scope.quirks)
    hidden = is_true(scope.call.query.get("includeHiddenFolders", ""))
    number = len(_choose(scope, parent, options, hidden=hidden))
    mark = "\ufeff" if scope.quirks.count_bom else ""
    return Answer(raw=f"{mark}{number}".encode(), content_type="text/plain")


def get_folder(scope: Scope, folder: Folder) -> Answer:
    """One folder."""
    options = folder_options(scope.call.query, scope.quirks)
    hidden = is_true(scope.call.query.get("includeHiddenFolders", ""))
    context = scope.context(f"mailFolders{_selected(options)}/$entity")
    return Answer(content={"@odata.context": context, **resource(scope, folder, options, hidden=hidden)})


def resource(scope: Scope, folder: Folder, options: Options, *, hidden: bool) -> JsonObject:
    """A mailFolder; the counts are of all that lies in it now."""
    total, unread = _totals(scope, folder)
    counts_hidden = hidden or scope.quirks.child_count_hidden
    full: JsonObject = {
        "id": folder.id,
        "displayName": folder.name,
        "parentFolderId": folder.parent,
        "childFolderCount": len(scope.mailbox.tree.children(folder, hidden=counts_hidden)),
        "unreadItemCount": unread,
        "totalItemCount": scope.stated_count(total, folder),
    }
    if folder.size is not None:
        full["sizeInBytes"] = folder.size
    full["isHidden"] = folder.hidden
    if options.select:
        full = {name: value for name, value in full.items() if name in (*options.select, "id")}
    if folder.is_search:
        return {"@odata.type": SEARCH_FOLDER, **full, **({} if options.select else folder.search)}
    return full


def find(scope: Scope, name: str) -> Folder:
    """A folder by id or well-known name. Raises GraphError: 404 for a missing one, 400 for what is no id."""
    folder = scope.mailbox.tree.named(name)
    if folder is not None:
        return folder
    if name.lower() in schema.WELL_KNOWN or ids.looks_like_an_id(name):
        raise folder_not_found(scope.quirks.missing_folder_code)
    raise malformed_id()


def _choose(scope: Scope, parent: Folder, options: Options, *, hidden: bool) -> list[Folder]:
    children = scope.mailbox.tree.children(parent, hidden=hidden)
    if options.condition is None and not options.order:
        return children
    values = {
        child.id: partial(comparable, resource(scope, child, Options(), hidden=hidden), words=schema.FOLDERS)
        for child in children
    }
    condition = options.condition
    found = [child for child in children if condition is None or holds(condition, values[child.id])]
    for path, descending in reversed(options.order):
        found.sort(key=partial(_rank, values, path), reverse=descending)
    return found


def _rank(values: Mapping[str, Lookup], path: str, folder: Folder) -> tuple[bool, float, str]:
    return rank(values[folder.id](path))


def _totals(scope: Scope, folder: Folder) -> tuple[int, int]:
    if folder.is_search:
        entries = pages.search_folder_entries(scope, folder)
        return len(entries), sum(entry.is_read is False for entry in entries)
    return scope.mailbox.totals(folder)


def _selected(options: Options) -> str:
    return f"({','.join(options.select)})" if options.select else ""
