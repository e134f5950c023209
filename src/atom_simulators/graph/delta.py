"""Delta: rounds of changes of one folder's messages, and of the folders themselves.

A round is pages with a nextLink, then one with a deltaLink. The state of a round travels in the links, sealed.
The first round lists what is there, by key, so that arrivals do not shift it; later rounds list what changed, in
the order of the mailbox's clock. A message may come twice in a round; that is allowed.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any
from urllib.parse import quote

from . import folder_pages, ids, items, schema
from .conditions import Compare
from .errors import GraphError, bad_request, invalid_url_query
from .folders import Folder
from .mailbox import Entry, Removal
from .options import DEFAULT_PAGE, Options, folder_options, message_options
from .pages import put_next_link
from .query import Dialect, parse_filter
from .quirks import Quirks
from .scope import JsonObject, Scope
from .wire import Answer

_FILTER_REFUSED = (
    "The '$filter' parameter value is not supported for 'Messages' resource; "
    "only a value of 'receivedDateTime ge value' is supported."
)
_CHANGE_TYPES = frozenset({"created", "updated", "deleted"})


@dataclass(frozen=True, slots=True)
class State:
    """Where a round stands.

    `since` is the clock value after which changes are told, None in a first round; `cursor` is the last key (or
    clock value) that was told; `round` is the clock value at which the round began; `low` cuts by date.
    """

    mailbox: str
    folder: str
    generation: int
    round: int
    since: int | None = None
    cursor: list[int] | None = None
    told: int = 0
    size: int | None = None
    low: int | None = None
    filtered: bool = False
    select: str = ""
    expand: str = ""
    changes: str = ""
    page: int = 0


def messages(scope: Scope, folder: Folder) -> Answer:
    """A page of a round over one folder's messages."""
    texts = scope.call.query
    state = _resumed(scope, folder.id, "messages") or _first(scope, folder, texts)
    size = _size(scope, state)
    options = message_options({"$select": state.select, "$expand": state.expand}, scope.quirks)
    found, cursor, more = _told(scope, folder, state, 0 if scope.is_struck("empty_page") else size)
    if options.with_bodies:
        scope.check_intact([change for change in found if isinstance(change, Entry)])
    value = [_shown(scope, change, options) for change in found]
    if scope.is_struck("dup"):
        value = [*value[:1], *value]
    told = state.told + len(found)
    if state.filtered and state.since is None and told >= scope.quirks.delta_filter_cap:
        more = False
    following = replace(state, cursor=cursor, told=told, page=state.page + 1)
    path = f"mailFolders('{quote(folder.id, safe='')}')/messages"
    return _page(scope, "messages", path, value, following if more else None, state, "Collection(message)")


def folders(scope: Scope) -> Answer:
    """A page of a round over the folders of a mailbox. Their messages are no matter here."""
    texts = scope.call.query
    state = _resumed(scope, "", "folders")
    if state is None:
        _refuse_tokens(texts)
        folder_options({key: text for key, text in texts.items() if key == "$select"}, scope.quirks)
        state = State(scope.mailbox.name, "", *_now(scope), select=texts.get("$select", ""))
    size = 0 if scope.is_struck("empty_page") else scope.prefer.page_size or DEFAULT_PAGE
    options = folder_options({"$select": state.select}, scope.quirks)
    everything = scope.mailbox.folders_changed_since(state.since)
    start = state.told
    value = [
        {
            "@odata.type": "#microsoft.graph.mailFolder",
            **folder_pages.resource(scope, folder, options, hidden=True),
        }
        for folder in everything[start : start + size]
    ]
    more = start + size < len(everything)
    following = replace(state, told=start + len(value), page=state.page + 1)
    return _page(scope, "folders", "mailFolders", value, following if more else None, state, "Collection(mailFolder)")


def _first(scope: Scope, folder: Folder, texts: dict[str, str]) -> State:
    """Read the options of a first request, the only one that has any. Raises GraphError (400)."""
    _refuse_tokens(texts)
    if "$search" in texts:
        raise bad_request("The query parameter '$search' is not supported on change tracking.")
    order = " ".join(texts.get("$orderby", "").split()).lower()
    if order not in ("", "receiveddatetime desc"):
        raise invalid_url_query(
            "The '$orderby' parameter value is not supported for 'Messages' resource; "
            "only a value of 'receivedDateTime desc' is supported."
        )
    changes = texts.get("changeType", "").lower()
    if changes and changes not in _CHANGE_TYPES:
        raise bad_request(f"The value '{changes}' of 'changeType' is not supported.")
    plain = {key: text for key, text in texts.items() if key in ("$select", "$expand", "$top")}
    options = message_options(plain, scope.quirks)
    return State(
        scope.mailbox.name,
        folder.id,
        *_now(scope),
        size=options.top if scope.quirks.delta_honours_top else None,
        low=_low(texts["$filter"], scope.quirks) if "$filter" in texts else None,
        filtered="$filter" in texts,
        select=texts.get("$select", ""),
        expand=texts.get("$expand", ""),
        changes=changes,
    )


def _size(scope: Scope, state: State) -> int:
    size = scope.prefer.page_size or state.size or DEFAULT_PAGE
    # The cap is the round's, not the page's.
    if state.filtered and state.since is None:
        return max(0, min(size, scope.quirks.delta_filter_cap - state.told))
    return size


def _now(scope: Scope) -> tuple[int, int]:
    return scope.mailbox.delta_generation, scope.mailbox.version


def _low(text: str, quirks: Quirks) -> int:
    condition = parse_filter(text, Dialect(schema.MESSAGES, quirks.unknown_property_code))
    if isinstance(condition, Compare) and condition.path == "receivedDateTime":
        if condition.operator == "ge" and isinstance(condition.value, int):
            return condition.value
        if condition.operator == "gt" and isinstance(condition.value, int):
            return condition.value + 1
    raise invalid_url_query(_FILTER_REFUSED)


def _refuse_tokens(texts: dict[str, str]) -> None:
    if "$deltatoken" in texts or "$skiptoken" in texts:
        raise GraphError(400, "SyncStateInvalid", "The sync state is invalid.")


def _resumed(scope: Scope, folder: str, kind: str) -> State | None:
    """The state that a link of ours carries. Raises GraphError (410) where it has expired."""
    texts = scope.call.query
    word = texts.get("$skiptoken") or texts.get("$deltatoken")
    content = ids.unseal(f"delta {kind}", word) if word else None
    if not isinstance(content, dict):
        return None
    state = State(**content)
    if (state.mailbox, state.folder) != (scope.mailbox.name, folder):
        return None
    if state.generation != scope.mailbox.delta_generation:
        raise _gone(scope, state)
    # A deltaLink begins a round now; a nextLink goes on with the one that it is of.
    return replace(state, round=scope.mailbox.version) if "$deltatoken" in texts else state


def _gone(scope: Scope, state: State) -> GraphError:
    found = f"generation={state.generation};[highest={scope.mailbox.delta_generation}]"
    message = f"The sync state generation is not found; {found}"
    match scope.quirks.delta_gone:
        case "resyncRequired":
            again = f"{scope.call.origin}{scope.call.path}?$deltatoken="
            return GraphError(410, "resyncRequired", "Resync is required.", {"Location": again})
        case "SyncStateNotFound-400":
            return GraphError(400, "SyncStateNotFound", message)
        case _:
            return GraphError(410, "SyncStateNotFound", message)


def _told(
    scope: Scope, folder: Folder, state: State, size: int
) -> tuple[list[Entry | Removal], list[int] | None, bool]:
    """The next changes, the cursor after them, and whether there are more."""
    if state.since is None:
        found, more = _standing(scope, folder, state, size)
        return list(found), list(found[-1].key) if found else state.cursor, more
    changes = _changes(scope, folder, state)
    some = changes[:size]
    clock = [_clock(some[-1])] if some else state.cursor
    return some, clock, len(changes) > len(some)


def _standing(scope: Scope, folder: Folder, state: State, size: int) -> tuple[list[Entry], bool]:
    if state.changes in ("updated", "deleted"):
        return [], False
    key = (state.cursor[0], state.cursor[1]) if state.cursor else None
    return scope.mailbox.before(folder.id, state.low, key, size)


def _changes(scope: Scope, folder: Folder, state: State) -> list[Entry | Removal]:
    since = state.since or 0
    # Each derived id that was given out is taken back; an immutable id leaves once, however often it moved.
    gone = {scope.id_of(removal.entry): removal for removal in scope.mailbox.removals_since(folder.id, since)}
    here = [entry for entry in scope.mailbox.messages(folder.id) if entry.changed > since]
    if scope.prefer.immutable_ids:
        lost = scope.quirks.immutable_return_is_lost
        moved = {key for key, removal in gone.items() if removal.reason == "changed"}
        here = [entry for entry in here if not (lost and entry.id in moved)]
        told = {entry.id for entry in here}
        gone = {key: removal for key, removal in gone.items() if key not in told}
    changes: list[Entry | Removal] = [*_of_type(here, since, state), *_removed(gone.values(), state)]
    after = state.cursor[0] if state.cursor else since
    return sorted((change for change in changes if _clock(change) > after), key=_clock)


def _of_type(entries: list[Entry], since: int, state: State) -> list[Entry]:
    kept = [e for e in entries if state.low is None or (e.received is not None and e.received >= state.low)]
    if not state.changes:
        return kept
    wanted = {"created": True, "updated": False}.get(state.changes)
    return [entry for entry in kept if (entry.created > since) is wanted]


def _removed(removals: Iterable[Removal], state: State) -> list[Removal]:
    return list(removals) if state.changes in ("", "deleted") else []


def _clock(change: Entry | Removal) -> int:
    return change.changed if isinstance(change, Entry) else change.version


def _shown(scope: Scope, change: Entry | Removal, options: Options) -> JsonObject:
    if isinstance(change, Entry):
        return items.message(scope, change, options, listed=True, typed=True)
    return {
        "@odata.type": "#microsoft.graph.message",
        "id": scope.id_of(change.entry),
        "@removed": {"reason": change.reason},
    }


def _page(
    scope: Scope,
    kind: str,
    path: str,
    value: list[JsonObject],
    following: State | None,
    state: State,
    what: str,
) -> Answer:
    owner = "me" if scope.owner.lower() == "me" else f"users('{quote(scope.owner, safe='')}')"
    base = f"{scope.call.origin}/v1.0/{owner}/{path}/delta"
    content: dict[str, Any] = {
        "@odata.context": f"{scope.call.origin}/v1.0/$metadata#{what}",
        "value": value,
    }
    link = f"{base}?$skiptoken={_sealed(kind, following)}" if following is not None else None
    put_next_link(scope, content, link)
    if following is None and "@odata.nextLink" not in content:
        done = replace(state, since=state.round, cursor=None, told=0, page=0)
        content["@odata.deltaLink"] = f"{base}?$deltatoken={_sealed(kind, done)}"
    return scope.answer(content)


def _sealed(kind: str, state: State) -> str:
    return ids.seal(f"delta {kind}", asdict(state))
