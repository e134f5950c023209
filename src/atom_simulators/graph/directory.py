"""Users, and the translation of ids."""

import json

from . import ids
from .errors import GraphError, bad_request
from .mailbox import Mailbox
from .scope import JsonObject, Scope
from .wire import Answer

_SELECTABLE = frozenset(
    {"businessPhones", "displayName", "givenName", "jobTitle", "mail", "mobilePhone", "officeLocation"}
    | {"preferredLanguage", "surname", "userPrincipalName", "id"}
)
_ID_TYPES = frozenset({"restId", "restImmutableEntryId"})
_OTHER_ID_TYPES = frozenset({"entryId", "ewsId", "immutableEntryId"})
_MOST_IDS = 1000


def get_user(scope: Scope) -> Answer:
    """The directory entry of a mailbox's user."""
    names = [name.strip() for name in scope.call.query.get("$select", "").split(",") if name.strip()]
    for name in names:
        if name not in _SELECTABLE:
            raise bad_request(f"Could not find a property named '{name}' on type 'microsoft.graph.user'.")
    full = user_resource(scope.mailbox)
    chosen = {name: value for name, value in full.items() if not names or name in names}
    selected = f"({','.join(names)})" if names else ""
    context = f"{scope.call.origin}/v1.0/$metadata#users{selected}/$entity"
    return Answer(content={"@odata.context": context, **chosen})


def user_resource(mailbox: Mailbox) -> JsonObject:
    """A user as the directory shows one by default."""
    given, _, family = mailbox.name.partition(".")
    return {
        "businessPhones": [],
        "displayName": mailbox.name.replace(".", " ").title(),
        "givenName": given.title() or None,
        "jobTitle": None,
        "mail": mailbox.address,
        "mobilePhone": None,
        "officeLocation": None,
        "preferredLanguage": None,
        "surname": family.title() or None,
        "userPrincipalName": mailbox.address,
        "id": mailbox.user_id,
    }


def translate_ids(scope: Scope) -> Answer:
    """`translateExchangeIds`: immutable ids to derived ones and back; ids of nothing stay out of the answer."""
    request = _request(scope.call.body)
    found = []
    for source in request["inputIds"]:
        entry = scope.mailbox.find(source)
        if entry is None:
            continue
        immutable = request["targetIdType"] == "restImmutableEntryId"
        target = entry.id if immutable else scope.mailbox.rest_id(entry)
        found.append({"sourceId": source, "targetId": target})
    context = f"{scope.call.origin}/v1.0/$metadata#Collection(microsoft.graph.convertIdResult)"
    return Answer(content={"@odata.context": context, "value": found})


def _request(body: bytes) -> JsonObject:
    try:
        request = json.loads(body)
    except ValueError:
        raise bad_request("Unable to read JSON request payload.") from None
    wanted = request.get("inputIds") if isinstance(request, dict) else None
    if not isinstance(wanted, list) or not all(isinstance(item, str) for item in wanted):
        raise bad_request("The parameter inputIds must be a collection of strings.")
    if len(wanted) > _MOST_IDS:
        raise bad_request(f"At most {_MOST_IDS} ids can be translated in one request.")
    for name in ("sourceIdType", "targetIdType"):
        if request.get(name) in _OTHER_ID_TYPES:
            raise GraphError(501, "NotImplemented", f"This simulator does not translate {request[name]}.")
        if request.get(name) not in _ID_TYPES:
            raise bad_request(f"Requested value '{request.get(name)}' was not found.")
    return dict(request)


def find_mailbox(mailboxes: dict[str, Mailbox], name: str) -> Mailbox | None:
    """A mailbox by address or by its user's id, in any case."""
    wanted = name.lower()
    return next((box for box in mailboxes.values() if wanted in (box.address.lower(), ids.user_guid(box.name))), None)
