"""The tree of mail folders: found level by level, named by paths that people can type."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any

from atom_backfill.errors import NeedsOwnerError, NotFoundError, RetryLaterError
from atom_backfill.mail.message import FolderId
from atom_backfill.sources.outlook.client import GraphClient
from atom_backfill.sources.outlook.items import usable_id
from atom_backfill.sources.paths import PathNames, segment
from atom_backfill.sources.ports import Folder

WELL_KNOWN = (
    "inbox",
    "sentitems",
    "drafts",
    "deleteditems",
    "junkemail",
    "archive",
    "outbox",
    "conversationhistory",
)
FOLDERS_LIMIT = 20_000
DEPTH_LIMIT = 60
_PAGE = {"$top": "100", "includeHiddenFolders": "true"}


async def find_folders(client: GraphClient) -> tuple[Folder, ...]:
    """List every folder, a parent before its children; the root itself only where mail lies in it.

    childFolderCount is no guide: whether it counts hidden folders is not documented, so every folder is asked.
    """
    root, top, *ids = await _together(
        client.get("folders", ("mailFolders", "msgfolderroot")),
        _list(client, ("mailFolders",)),
        *(_well_known_id(client, name) for name in WELL_KNOWN),
    )
    tree = _Tree({found: name for found, name in zip(ids, WELL_KNOWN, strict=True) if found})
    tree.add_root(root)
    level = tree.add(top, parent="")
    for _ in range(DEPTH_LIMIT):
        if not level:
            break
        lists = await _together(*(_list(client, ("mailFolders", folder, "childFolders")) for folder, _ in level))
        level = [below for (_, path), items in zip(level, lists, strict=True) for below in tree.add(items, parent=path)]
    return tree.folders()


async def _well_known_id(client: GraphClient, name: str) -> str | None:
    try:
        return usable_id(await client.get("folders", ("mailFolders", name), {"$select": "id"}))
    except NotFoundError:
        return None


async def _list(client: GraphClient, path: tuple[str, ...]) -> list[Any]:
    """Follow a folder list to its end. A continuation that repeats or leads elsewhere is an answer not to be used."""
    items: list[Any] = []
    followed: set[str] = set()
    target: str | tuple[str, ...] = path
    params: dict[str, str] | None = _PAGE
    while True:
        answer = await client.get("folders", target, params)
        value = answer.get("value")
        if not isinstance(value, list):
            raise RetryLaterError("bad_answer", "Microsoft Graph sent a list of folders that cannot be read.")
        items += value
        link = answer.get("@odata.nextLink")
        if not link:
            return items
        if not isinstance(link, str) or link in followed or not client.is_home(link):
            raise RetryLaterError("broken_link", "Microsoft Graph's list of folders leads to nowhere.")
        if len(items) > FOLDERS_LIMIT:
            raise NeedsOwnerError("too_many_folders", f"The mailbox has more than {FOLDERS_LIMIT} folders.")
        followed.add(link)
        target, params = link, None


async def _together(*calls: Coroutine[Any, Any, Any]) -> list[Any]:
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(call) for call in calls]
    except ExceptionGroup as several:
        raise several.exceptions[0] from None
    return [task.result() for task in tasks]


class _Tree:
    def __init__(self, known: dict[str, str]) -> None:
        self._known = known
        self._seen: set[str] = set()
        self._folders: dict[str, Folder] = {}
        self._names = PathNames()

    def add_root(self, item: dict[str, Any]) -> None:
        found = usable_id(item)
        count = item.get("totalItemCount")
        self._seen.add(found or "")
        if found and isinstance(count, int) and count > 0:
            path = self._names.free("(root)")
            self._folders[found] = Folder(FolderId(found), path, "msgfolderroot", messages_hint=count)

    def add(self, items: Iterable[Any], *, parent: str) -> list[tuple[str, str]]:
        """Add the children of a folder; returns (id, path) of those that may have children themselves."""
        below: list[tuple[str, str]] = []
        # By id, so that of two equal names the same one is always "(2)".
        for item in sorted((item for item in items if usable_id(item)), key=lambda item: str(item["id"])):
            if item["id"] in self._seen:
                continue
            self._seen.add(item["id"])
            folder = self._folder(item, parent)
            self._folders[folder.folder_id] = folder
            if not folder.search:
                below.append((folder.folder_id, folder.path))
        if len(self._folders) > FOLDERS_LIMIT:
            raise NeedsOwnerError("too_many_folders", f"The mailbox has more than {FOLDERS_LIMIT} folders.")
        return below

    def folders(self) -> tuple[Folder, ...]:
        return tuple(self._folders.values())

    def _folder(self, item: dict[str, Any], parent: str) -> Folder:
        shown = item.get("displayName")
        name = segment(shown if isinstance(shown, str) else "")
        count = item.get("totalItemCount")
        return Folder(
            folder_id=FolderId(item["id"]),
            path=self._names.free(f"{parent}/{name}" if parent else name),
            well_known=self._known.get(item["id"], ""),
            messages_hint=count if isinstance(count, int) and count >= 0 else None,
            hidden=item.get("isHidden") is True,
            search=str(item.get("@odata.type", "")).casefold().endswith("mailsearchfolder"),
        )
