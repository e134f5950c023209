"""The mailbox's folders as Graph `mailFolder` resources."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .idents import folder_id

PROJECTS = ("Hallow Bay", "Skerry", "Cormorant", "Lantern", "Saint-Elven", "Almejo", "Wittrum", "Kvitnes")
"""Children of the folder `Projects`."""


@dataclass(frozen=True, slots=True)
class Folder:
    """One folder; `path` names it within the sample, its last part is the display name."""

    path: str
    well_known: str | None = None
    hidden: bool = False

    @property
    def name(self) -> str:
        """The display name."""
        return self.path.rpartition("/")[2]

    @property
    def parent(self) -> str:
        """The parent's path; empty for the root."""
        return self.path.rpartition("/")[0]


FOLDERS: Sequence[Folder] = (
    Folder("Inbox", "inbox"),
    Folder("Sent Items", "sentitems"),
    Folder("Drafts", "drafts"),
    Folder("Deleted Items", "deleteditems"),
    Folder("Junk Email", "junkemail"),
    Folder("Archive", "archive"),
    Folder("Outbox", "outbox"),
    Folder("Projects"),
    *(Folder(f"Projects/{name}") for name in PROJECTS),
    Folder("Invoices"),
    Folder("Hiring"),
    Folder("Newsletters"),
    Folder("Personal"),
    Folder("Conversation Action Settings", hidden=True),
)


@dataclass(frozen=True, slots=True)
class Tally:
    """What the mails of one folder add up to; sizes in bytes."""

    total: Counter[str]
    unread: Counter[str]
    size: Counter[str]


def folder_resources(mailbox: str, owner_address: str, tally: Tally) -> dict[str, object]:
    """The answer to listing every folder, hidden ones and one search folder included; counts by folder id."""
    value = [_resource(mailbox, folder, tally) for folder in FOLDERS]
    context = f"https://graph.microsoft.com/v1.0/$metadata#users('{owner_address}')/mailFolders"
    return {"@odata.context": context, "value": [*value, _search_folder(mailbox)]}


def _resource(mailbox: str, folder: Folder, tally: Tally) -> Mapping[str, object]:
    own = folder_id(mailbox, folder.path)
    return {
        "id": own,
        "displayName": folder.name,
        "parentFolderId": folder_id(mailbox, folder.parent),
        "childFolderCount": sum(other.parent == folder.path for other in FOLDERS),
        "unreadItemCount": tally.unread[own],
        "totalItemCount": tally.total[own],
        "sizeInBytes": tally.size[own],
        "isHidden": folder.hidden,
        "wellKnownName": folder.well_known,
    }


def _search_folder(mailbox: str) -> Mapping[str, object]:
    """A search folder holds no mail of its own: its items are those of other folders, shown again."""
    return {
        "@odata.type": "#microsoft.graph.mailSearchFolder",
        "id": folder_id(mailbox, "search/Hallow Bay everywhere"),
        "displayName": "Hallow Bay everywhere",
        "parentFolderId": folder_id(mailbox, ""),
        "childFolderCount": 0,
        "unreadItemCount": 0,
        "totalItemCount": 0,
        "sizeInBytes": 0,
        "isHidden": False,
        "wellKnownName": None,
        "isSupported": True,
        "includeNestedFolders": True,
        "sourceFolderIds": [folder_id(mailbox, "Inbox"), folder_id(mailbox, "Projects")],
        "filterQuery": "contains(subject, 'Hallow Bay')",
    }
