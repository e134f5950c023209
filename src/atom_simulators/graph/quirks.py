"""Switches for what is not known for sure about the real service, and for its worse days."""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints


class QuirksError(ValueError):
    """A switch is unknown or has an impossible value; the message is a sentence for the person who set it."""


@dataclass(frozen=True, slots=True)
class Quirks:
    """How this service behaves where the real one is unsure, differs over time, or has bad days.

    Folders are named by well-known name, display name or id; `*` stands for every folder and for the whole mailbox.
    """

    # Lists
    default_order: Literal["newest", "oldest", "scattered"] = "newest"
    """Order of a list without $orderby."""
    top_over_limit: Literal["error", "clamp"] = "error"
    """What $top above 1000 does."""
    restriction_code: Literal["InefficientFilter", "ErrorRestrictionTooComplex"] = "InefficientFilter"
    """Code of the answer to a $filter and $orderby that do not go together."""
    unknown_property_code: Literal["BadRequest", "RequestBroker--ParseUri"] = "BadRequest"
    """Code of the answer to a property that does not exist."""
    missing_folder_code: Literal["ErrorFolderNotFound", "ErrorItemNotFound"] = "ErrorFolderNotFound"
    """Code of the answer to a folder that is not there."""
    child_count_hidden: bool = False
    """Whether childFolderCount counts hidden folders even where they were not asked for."""
    context_user: Literal["guid", "as_requested"] = "guid"
    """How @odata.context names the user."""
    date_only_accepted: bool = False
    """Whether $filter takes a date without a time."""
    short_pages: int = 0
    """So many places of each page are taken by items that are no messages: shorter pages, $skip that runs ahead."""
    heavy_page_limit: int = 0
    """Pages with bodies that ask for more messages than this time out (504); 0: none does."""
    deep_skip_limit: int = 0
    """Lists with a $skip beyond this time out (504); 0: none does."""
    ascending_is_empty: bool = False
    """$orderby=receivedDateTime asc finds nothing, as seen with a few mailboxes."""
    body_type_ignored_in_lists: bool = False
    """Lists pay no attention to Prefer: outlook.body-content-type."""

    # Counts
    count_bom: bool = False
    """`/$count` starts with a byte order mark."""
    count_off_by: Mapping[str, int] = field(default_factory=dict)
    """Folder to what its count is wrong by."""
    count_always: Mapping[str, int] = field(default_factory=dict)
    """Folder to the count it always claims, say -1."""

    # Delta
    delta_filter_cap: int = 5000
    """Messages that a delta round with $filter brings before it claims to be complete."""
    delta_honours_top: bool = True
    """Whether $top sets the page size of delta (Prefer: odata.maxpagesize always does)."""
    delta_gone: Literal["SyncStateNotFound", "resyncRequired", "SyncStateNotFound-400"] = "SyncStateNotFound"
    """Form of the answer to an expired delta token."""
    immutable_return_is_lost: bool = True
    """With immutable ids a message that left and came back between two rounds is reported as removed only."""

    # Who may do what
    app_only_me_refused: bool = True
    """`/me` with an app-only token is refused; if not, it is the signed-in user's default mailbox."""
    unreadable_bearer: Literal["CompactToken", "IDX14100"] = "CompactToken"
    """Words of the answer to a token that is none: the older or the newer form."""
    app_roles: tuple[str, ...] = ("Mail.Read", "User.Read.All")
    """Application permissions that app-only tokens have."""
    granted_scopes: tuple[str, ...] = ()
    """Delegated permissions that are granted at most; empty: whatever is asked for."""
    allowed_mailboxes: tuple[str, ...] = ()
    """Mailboxes that an application access policy leaves open to app-only tokens; empty: all."""
    inactive_mailboxes: tuple[str, ...] = ()
    """Mailboxes that answer MailboxNotEnabledForRESTAPI."""
    tenants: tuple[str, ...] = ()
    """Tenants that exist; empty: all."""

    # Sign-in
    strict_rotation: bool = False
    """A refresh token works once (the platform itself lets old ones live)."""
    slow_down: bool = False
    """Polling a device code faster than its interval is answered by slow_down."""
    endpoints_scheme: Literal["https", "http"] = "https"
    """Scheme of the endpoints in openid-configuration: MSAL takes none but https."""

    # Throttling
    concurrency_scope: Literal["mailbox", "app"] = "mailbox"
    """Whether the concurrency limit counts per app and mailbox or per app."""
    throttle_code: Literal[
        "ApplicationThrottled",
        "TooManyRequests",
        "activityLimitReached",
        "ErrorTooManyRequests",
        "ErrorExceededConnectionCount",
    ] = "ApplicationThrottled"
    """Code of a 429 of the limits."""
    throttle_retry_after: int | None = 1
    """Retry-After of a concurrency 429, in seconds; null leaves it out."""
    throttle_inner_error: bool = False
    """Whether a 429 carries innerError."""


def read_quirks(path: Path, base: Quirks) -> Quirks:
    """Read switches from a JSON object, over those already set. Raises QuirksError."""
    try:
        document = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise QuirksError(f"{path}: cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise QuirksError(f"{path}: is not JSON ({error})") from error
    if not isinstance(document, dict):
        raise QuirksError(f"{path}: must be a JSON object of switches")
    return with_quirks(base, document)


def with_quirks(base: Quirks, values: Mapping[str, object]) -> Quirks:
    """The switches with some of them set anew. Raises QuirksError naming the switch and what it may be."""
    hints = get_type_hints(Quirks)
    changes: dict[str, Any] = {}
    for name, value in values.items():
        if name not in hints:
            raise QuirksError(f'there is no switch "{name}"; there are {", ".join(hints)}')
        changes[name] = _checked(name, value, hints[name])
    return dataclasses.replace(base, **changes)


def _checked(name: str, value: object, hint: Any) -> object:
    if get_origin(hint) is Literal:
        if value in get_args(hint):
            return value
        raise QuirksError(f'switch "{name}" must be one of {", ".join(get_args(hint))}')
    if hint is bool and isinstance(value, bool):
        return value
    if hint is int and _is_whole(value):
        return value
    if hint == int | None and (value is None or _is_whole(value)):
        return value
    if hint == tuple[str, ...] and isinstance(value, list) and all(isinstance(v, str) for v in value):
        return tuple(value)
    if hint == Mapping[str, int] and isinstance(value, dict) and all(_is_whole(v) for v in value.values()):
        return value
    wanted = {bool: "true or false", int: "a whole number", tuple[str, ...]: "a list of names"}
    raise QuirksError(f'switch "{name}" must be {wanted.get(hint, "an object of whole numbers")}')


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
