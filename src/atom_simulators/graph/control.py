"""`/_sim/…`: the simulator's own surface, which is no part of Graph and asks for no token.

It shows what was asked, and changes mailboxes while clients are at work.
"""

import json
from typing import Any

from ..scenario import ScenarioError, Script, parse_faults
from . import dates, faults
from .folders import FoldersError, parse_folder
from .mailbox import Entry, Mailbox, MailboxError
from .service import Service
from .wire import JSON, Answer, Call


class ControlError(Exception):
    """A request to the control surface that cannot be met."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


def answer(service: Service, call: Call) -> Answer:
    """Answer a call below `/_sim`; a refusal is `{"error": sentence}`."""
    try:
        return Answer(content=_route(service, call), content_type=JSON)
    except ControlError as error:
        return Answer(error.status, {"error": str(error)}, content_type=JSON)
    except (ScenarioError, MailboxError, FoldersError) as error:
        return Answer(400, {"error": str(error)}, content_type=JSON)


def _route(service: Service, call: Call) -> Any:
    match [call.method, *call.segments[1:]]:
        case ["GET", "log"]:
            return _log(service, call)
        case ["GET", "stats"]:
            return _stats(service)
        case ["GET", "mailboxes"]:
            return {"mailboxes": [_summary(box) for box in service.mailboxes.values()]}
        case ["PUT", "faults"]:
            service.script = Script(parse_faults(_json(call), faults.GRAMMAR))
            return {"faults": len(service.script.faults)}
        case ["POST", "tokens", "expire"]:
            service.tokens.end_all()
            return {"expired": True}
        case ["POST", "tokens", "revoke"]:
            service.tokens.end_all()
            service.sign_in.revoke_all()
            return {"revoked": True}
        case [method, "mailboxes", name, *rest]:
            return _change(service, call, _mailbox(service, name), [method, *rest])
        case _:
            raise ControlError(404, "there is no such control; see docs/howto/simulate-graph.md")


def _change(service: Service, call: Call, mailbox: Mailbox, what: list[str]) -> Any:
    match what:
        case ["POST", "messages"]:
            return _add(service, mailbox, _json(call))
        case ["DELETE", "messages", item]:
            mailbox.delete(_entry(mailbox, item))
            return {"deleted": item}
        case ["PATCH", "messages", item]:
            return _shown(mailbox, mailbox.update(_entry(mailbox, item), _object(call)))
        case ["POST", "messages", item, "move"]:
            folder = _folder(mailbox, str(_object(call).get("destinationId", "")))
            return _shown(mailbox, mailbox.move(_entry(mailbox, item), folder))
        case ["POST", "folders"]:
            made = parse_folder({"parentFolderId": mailbox.tree.root.id, **_object(call)}, 1)
            mailbox.put_folder(made)
            return {"id": made.id}
        case ["POST", "expire-delta"]:
            mailbox.delta_generation += 1
            return {"generation": mailbox.delta_generation}
        case _:
            raise ControlError(404, "there is no such control; see docs/howto/simulate-graph.md")


def _add(service: Service, mailbox: Mailbox, document: Any) -> Any:
    messages = document if isinstance(document, list) else [document]
    if not all(isinstance(message, dict) for message in messages):
        raise ControlError(400, "a message is a JSON object, several are a list of them")
    added = [mailbox.add(_completed(service, mailbox, message)) for message in messages]
    shown = [_shown(mailbox, entry) for entry in added]
    return {"added": shown} if isinstance(document, list) else shown[0]


def _completed(service: Service, mailbox: Mailbox, message: dict[str, Any]) -> dict[str, Any]:
    """A message with an id, and with its folder by id; without a date it arrives now."""
    folder = message.get("parentFolderId", "inbox")
    completed = {"id": f"AAkALg{service.clocks.new_id().replace('-', '') * 2}", **message}
    completed["parentFolderId"] = _folder(mailbox, str(folder))
    completed.setdefault("receivedDateTime", dates.text(service.clocks.now()))
    return completed


def _log(service: Service, call: Call) -> Any:
    query = call.query
    since = int(query["since"]) if query.get("since", "").isdecimal() else 0
    lines = [line for line in service.journal.lines if line["n"] > since]
    for name in ("operation", "mailbox"):
        if name in query:
            lines = [line for line in lines if line[name] == query[name]]
    return {"requests": lines, "count": service.journal.count}


def _stats(service: Service) -> Any:
    journal, throttle = service.journal, service.throttle
    return {
        "requests": journal.count,
        "by_operation": dict(journal.by_operation),
        "by_status": {str(status): number for status, number in sorted(journal.by_status.items())},
        "faults": dict(journal.by_fault),
        "throttled": throttle.refused,
        "mailboxes": {
            box.name: {
                "messages": len(box.messages()),
                "in_flight": throttle.in_flight[box.name],
                "peak_in_flight": throttle.peak[box.name],
            }
            for box in service.mailboxes.values()
        },
    }


def _summary(mailbox: Mailbox) -> dict[str, Any]:
    return {
        "name": mailbox.name,
        "address": mailbox.address,
        "user_id": mailbox.user_id,
        "messages": len(mailbox.messages()),
        "folders": len(mailbox.tree.all()),
    }


def _shown(mailbox: Mailbox, entry: Entry) -> dict[str, str]:
    return {"id": entry.id, "rest_id": mailbox.rest_id(entry), "parentFolderId": entry.folder}


def _mailbox(service: Service, name: str) -> Mailbox:
    found = service.mailboxes.get(name.removesuffix("@example.com"))
    if found is None:
        raise ControlError(404, f"there is no mailbox {name}")
    return found


def _entry(mailbox: Mailbox, item: str) -> Entry:
    found = mailbox.find(item)
    if found is None:
        raise ControlError(404, "there is no such message")
    return found


def _folder(mailbox: Mailbox, name: str) -> str:
    found = mailbox.tree.called(name)
    if found is None:
        raise ControlError(400, f"there is no folder {name}")
    return found.id


def _object(call: Call) -> dict[str, Any]:
    document = _json(call)
    if not isinstance(document, dict):
        raise ControlError(400, "the body must be a JSON object")
    return document


def _json(call: Call) -> Any:
    try:
        return json.loads(call.body)
    except ValueError as error:
        raise ControlError(400, f"the body is not JSON ({error})") from error
