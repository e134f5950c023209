"""What one Graph call works on: the call, the mailbox it is about, the switches, and a fault that strikes its page."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

from ..scenario import Fault
from . import ids
from .errors import GraphError
from .folders import Folder
from .mailbox import Entry, Mailbox
from .quirks import Quirks
from .wire import Answer, Call, Preferences

JsonObject = dict[str, Any]


@dataclass(frozen=True, slots=True)
class CorruptItemError(GraphError):
    """A message's content cannot be had; `fault` is the rule that broke it."""

    fault: Fault | None = None


@dataclass(frozen=True, slots=True)
class Scope:
    """The surroundings of a handler.

    `owner` is how the path names the user; `basic` means that the token has Mail.ReadBasic only; `corrupt` are
    the messages whose content cannot be had, by immutable id, with the fault that says so.
    """

    call: Call
    mailbox: Mailbox
    owner: str
    quirks: Quirks
    prefer: Preferences
    basic: bool = False
    fault: Fault | None = None
    corrupt: Mapping[str, Fault] = field(default_factory=dict)

    def context(self, what: str) -> str:
        """An `@odata.context` about something of this user."""
        by_guid = self.quirks.context_user == "guid" or self.owner.lower() == "me"
        user = self.mailbox.user_id if by_guid else quote(self.owner, safe="")
        return f"{self.call.origin}/v1.0/$metadata#users('{user}')/{what}"

    def answer(self, content: JsonObject) -> Answer:
        """A 200 that says which preferences were heeded."""
        applied = self.prefer.applied()
        return Answer(content=content, headers={"Preference-Applied": applied} if applied else {})

    def id_of(self, entry: Entry) -> str:
        """A message's id in the format that the call prefers."""
        return entry.id if self.prefer.immutable_ids else self.mailbox.rest_id(entry)

    def link(self, **changes: str) -> str:
        """The address of another page of this list: the same options, some of them set anew."""
        texts = self.call.query
        texts.update({f"${name}": value for name, value in changes.items()})
        return f"{self.call.origin}{self.call.path}?{urlencode(texts, quote_via=quote)}"

    def stated_count(self, total: int, folder: Folder | None) -> int:
        """A count as this service states it, which is not always what it is."""
        names = ("*",) if folder is None else (folder.well_known, folder.name, folder.id, "*")
        for name in names:
            if name in self.quirks.count_always:
                return self.quirks.count_always[name]
        return total + next((self.quirks.count_off_by[n] for n in names if n in self.quirks.count_off_by), 0)

    def is_struck(self, kind: str) -> bool:
        """Whether a fault of this kind strikes this page."""
        return self.fault is not None and self.fault.kind == kind

    def check_intact(self, entries: list[Entry]) -> None:
        """Raises CorruptItemError (500) where the content of one of the messages cannot be had."""
        for entry in entries:
            if entry.id in self.corrupt:
                raise CorruptItemError(
                    500,
                    "ErrorInternalServerError",
                    "Error while processing response.",
                    fault=self.corrupt[entry.id],
                )


def page_shift(token: str | None) -> int:
    """How far `$skip` runs ahead of the messages, from a link of ours."""
    shift = ids.unseal("page", token) if token else 0
    return shift if isinstance(shift, int) else 0
