"""Lists of messages: which ones, in which order, page by page; their count; and a single one."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from . import ids, items, mime, schema, search
from .conditions import Condition, date_range, holds, rank
from .errors import GraphError, item_not_found
from .folders import Folder
from .mailbox import Entry
from .options import Options, message_options
from .query import Dialect, parse_filter
from .quirks import Quirks
from .scope import CorruptItemError, JsonObject, Scope, page_shift
from .wire import Answer

_EVIL_HOST = "https://graph.microsoft.com.example.net/v1.0"
_LARGEST_SEARCH = 1000


@dataclass(frozen=True, slots=True)
class Listing:
    """Messages in an order, without a copy of the list that they come from."""

    entries: Sequence[Entry]
    backwards: bool = False

    def __len__(self) -> int:
        return len(self.entries)

    def slice(self, start: int, count: int) -> list[Entry]:
        """`count` messages from `start` on."""
        if not self.backwards:
            return list(self.entries[start : start + count])
        stop = max(0, len(self.entries) - start)
        return list(self.entries[max(0, stop - count) : stop])[::-1]


def list_messages(scope: Scope, folder: Folder | None, name: str = "") -> Answer:
    """A page of a folder's messages, or of the whole mailbox. `name` is the folder as the path names it."""
    options = message_options(scope.call.query, scope.quirks)
    _check_weight(scope, options)
    listing = choose(scope, folder, options)
    place = _place(options)
    shown = max(0, options.page - scope.quirks.short_pages) if scope.quirks.short_pages else options.page
    shown = 0 if scope.is_struck("empty_page") else shown
    entries = listing.slice(place, shown)
    # Ids and dates of a corrupt message can be listed; its content breaks the whole page.
    if options.with_bodies:
        scope.check_intact(entries)
    content: JsonObject = {"@odata.context": scope.context(_what(folder, name) + _selected(options))}
    if options.count:
        content["@odata.count"] = scope.stated_count(len(listing), folder)
    # What an earlier page has shown, as when mail arrives between two pages and moves all places by one.
    repeated = listing.slice(max(0, place - 2), 2)[: 2 if place else 1] if scope.is_struck("dup") else []
    content["value"] = [items.message(scope, entry, options, listed=True) for entry in [*repeated, *entries]]
    following = place + shown
    put_next_link(scope, content, next_link(scope, options, shown) if following < len(listing) else None)
    return scope.answer(content)


def count_messages(scope: Scope, folder: Folder | None) -> Answer:
    """`/messages/$count`: a number as plain text."""
    options = message_options(scope.call.query, scope.quirks)
    number = scope.stated_count(len(choose(scope, folder, options)), folder)
    mark = "\ufeff" if scope.quirks.count_bom else ""
    return Answer(raw=f"{mark}{number}".encode(), content_type="text/plain")


def get_message(scope: Scope, item_id: str, folder: Folder | None = None) -> Answer:
    """One message."""
    options = message_options(scope.call.query, scope.quirks)
    entry = _intact(scope, item_id, folder, needed=options.with_bodies)
    content = {"@odata.context": scope.context(f"messages{_selected(options)}/$entity")}
    return scope.answer({**content, **items.message(scope, entry, options, listed=False)})


def get_mime(scope: Scope, item_id: str, folder: Folder | None = None) -> Answer:
    """One message as it travels."""
    entry = _intact(scope, item_id, folder, needed=True)
    return Answer(raw=mime.rendered(entry.parsed()), content_type="text/plain")


def list_attachments(scope: Scope, item_id: str) -> Answer:
    """The attachments of a message; $select can leave their content out."""
    options = _attachment_select(scope)
    found = [_cut(item, options) for item in items.attachments(items.find(scope, item_id))]
    context = scope.context(f"messages('{item_id}')/attachments")
    return Answer(content={"@odata.context": context, "value": found})


def get_attachment(scope: Scope, item_id: str, attachment_id: str, *, value: bool = False) -> Answer:
    """One attachment, or its bytes."""
    for item in items.attachments(items.find(scope, item_id)):
        if item["id"] == attachment_id:
            if value:
                kind = item.get("contentType")
                return Answer(
                    raw=items.attachment_bytes(item),
                    content_type=kind if isinstance(kind, str) else "application/octet-stream",
                )
            context = scope.context(f"messages('{item_id}')/attachments/$entity")
            return Answer(content={"@odata.context": context, **_cut(item, _attachment_select(scope))})
    raise item_not_found()


def choose(scope: Scope, folder: Folder | None, options: Options) -> Listing:
    """The messages that a request is about, in its order."""
    if options.search is not None:
        found = search.find(scope.mailbox.messages(folder.id if folder else None), options.search)
        return Listing(found[:_LARGEST_SEARCH])
    low, high, rest = date_range(options.condition)
    entries: Sequence[Entry] = _within(scope, folder, low, high)
    if rest:
        entries = [entry for entry in entries if all(holds(part, entry.value) for part in rest)]
    return _ordered(entries, options, scope.quirks)


def put_next_link(scope: Scope, content: JsonObject, link: str | None) -> None:
    """End a page by its link, or by what a fault makes of it; a false link comes even on a last page."""
    if scope.is_struck("lost_next"):
        return
    if scope.is_struck("loop_next"):
        link = scope.call.url
    elif scope.is_struck("evil_next") and scope.fault is not None:
        base = scope.fault.text("url", _EVIL_HOST).rstrip("/")
        link = base + (link or scope.call.url).removeprefix(f"{scope.call.origin}/v1.0")
    if link is not None:
        content["@odata.nextLink"] = link


def _check_weight(scope: Scope, options: Options) -> None:
    """Raises GraphError (504) where the page is more than the service manages on this day."""
    heavy, deep = scope.quirks.heavy_page_limit, scope.quirks.deep_skip_limit
    if (heavy and options.with_bodies and options.page > heavy) or (deep and options.skip > deep):
        raise GraphError(504, "UnknownError", "")


def _within(scope: Scope, folder: Folder | None, low: int | None, high: int | None) -> list[Entry]:
    if folder is None or not folder.is_search:
        return scope.mailbox.between(folder.id if folder else None, low, high)
    return [
        entry
        for entry in search_folder_entries(scope, folder)
        if (low is None or (entry.received is not None and entry.received >= low))
        and (high is None or (entry.received is not None and entry.received < high))
    ]


def search_folder_entries(scope: Scope, folder: Folder) -> list[Entry]:
    """What a search folder finds in its source folders, oldest first."""
    tree = scope.mailbox.tree
    sources: Any = folder.search.get("sourceFolderIds") or [tree.root.id]
    condition = _search_condition(folder)
    chosen: dict[str, None] = {}
    for name in sources if isinstance(sources, list) else []:
        source = tree.named(str(name))
        nested = folder.search.get("includeNestedFolders") is True
        for inner in [] if source is None else tree.below(source) if nested else [source]:
            chosen[inner.id] = None
    found = [entry for folder_id in chosen for entry in scope.mailbox.messages(folder_id)]
    return sorted(
        (entry for entry in found if condition is None or holds(condition, entry.value)),
        key=lambda entry: entry.key,
    )


def _search_condition(folder: Folder) -> Condition | None:
    # A search may use words that $filter does not have; then the folder holds all of its sources.
    text = folder.search.get("filterQuery")
    with suppress(GraphError):
        if isinstance(text, str) and text.strip():
            return parse_filter(text, Dialect(schema.MESSAGES))
    return None


def _ordered(entries: Sequence[Entry], options: Options, quirks: Quirks) -> Listing:
    if not options.order:
        if quirks.default_order == "scattered":
            return Listing(sorted(entries, key=lambda entry: entry.ordinal * 2654435761 % (1 << 32)))
        return Listing(entries, backwards=quirks.default_order == "newest")
    if len(options.order) == 1 and options.order[0][0] == "receivedDateTime":
        backwards = options.order[0][1]
        return Listing(() if quirks.ascending_is_empty and not backwards else entries, backwards)
    found = list(entries)
    for path, descending in reversed(options.order):
        found.sort(key=partial(_rank, path), reverse=descending)
    return Listing(found)


def _rank(path: str, entry: Entry) -> tuple[bool, float, str]:
    return rank(entry.value(path))


def _place(options: Options) -> int:
    if options.search is not None:
        start = ids.unseal("search", options.token) if options.token else 0
        return start if isinstance(start, int) else 0
    return max(0, options.skip - page_shift(options.token))


def next_link(scope: Scope, options: Options, shown: int) -> str:
    """The address of the page after one that shows so many items."""
    if options.search is not None:
        return scope.link(skiptoken=ids.seal("search", _place(options) + shown))
    # $skip counts what was gone through; what was no message makes it run ahead.
    shift = page_shift(options.token) + options.page - shown
    skip = str(options.skip + options.page)
    return scope.link(skip=skip, skiptoken=ids.seal("page", shift)) if shift else scope.link(skip=skip)


def _intact(scope: Scope, item_id: str, folder: Folder | None, *, needed: bool) -> Entry:
    entry = items.find(scope, item_id)
    if folder is not None and not folder.is_search and entry.folder != folder.id:
        raise item_not_found()
    if needed and entry.id in scope.corrupt:
        raise CorruptItemError(
            500,
            "ErrorItemCorrupt",
            "The item is corrupt and its content cannot be retrieved.",
            fault=scope.corrupt[entry.id],
        )
    return entry


def _what(folder: Folder | None, name: str) -> str:
    return "messages" if folder is None else f"mailFolders('{name or folder.id}')/messages"


def _selected(options: Options) -> str:
    return f"({','.join(options.select)})" if options.select else ""


def _attachment_select(scope: Scope) -> tuple[str, ...]:
    text = scope.call.query.get("$select", "")
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _cut(item: JsonObject, select: tuple[str, ...]) -> JsonObject:
    kept = {"@odata.type", "id", *select}
    return {name: value for name, value in item.items() if not select or name in kept}
