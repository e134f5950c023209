"""Lists and folders as no simulator serves them: wrong types, hostile names, broken bodies."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from atom_backfill.errors import BugError, RetryLaterError
from atom_backfill.http import HttpClient
from atom_backfill.mail.message import FolderId, SourceId
from atom_backfill.sources.outlook.client import GraphClient
from atom_backfill.sources.outlook.source import OutlookSource
from atom_backfill.sources.ports import Folder, Window
from fakes.permits import MemoryPermits
from fakes.skipping_clock import SkippingClock

EVER = Window(None, None)
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
SINCE = Window(NOON, None)
FOLDER = FolderId("AAMkFolder=")


class FixedTokens:
    """A token that always works."""

    delegated = False

    async def token(self) -> str:
        return "token"

    async def renew(self, refused: str, claims: str | None) -> str:
        return "token-2"


def source_over(handle: Callable[[httpx.Request], httpx.Response]) -> OutlookSource:
    clock = SkippingClock()
    http = HttpClient("https://graph.test/v1.0", transport=httpx.MockTransport(handle))
    return OutlookSource(
        GraphClient(http, FixedTokens(), MemoryPermits(clock), clock, user="ines@example.com"),
        clock,
        address="ines@example.com",
    )


def answering(body: bytes | Any) -> OutlookSource:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return source_over(lambda request: httpx.Response(200, content=content))


@pytest.mark.parametrize(
    ("body", "ids"),
    [
        (b'\xef\xbb\xbf{"value":[]}', []),
        (b'{"value":[{"id":"A","id":"B","subject":"x"}]}', ["B"]),
        (b'{"value":[{"id":"AAMkA3","subject":"Gr\xfc\xdfe"}]}', ["AAMkA3"]),
        (b'{"value":[{"id":"AAMkA2","size":NaN}]}', ["AAMkA2"]),
        (b'{"value":[{"id":"A","subject":"tab\there and \x01"}]}', ["A"]),
        (b'{"value":[{"id":"A","subject":"\\ud83d"}]}', ["A"]),
    ],
    ids=["bom", "equal keys", "latin-1", "nan", "raw controls", "lone surrogate"],
)
async def test_an_odd_page_is_read(body: bytes, ids: list[str]) -> None:
    page = await answering(body).page(FOLDER, EVER, size=10)
    assert [item.source_id for item in page.items] == ids
    assert page.next is None
    for item in page.items:
        assert json.loads(item.payload)["id"] == item.source_id


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b'{"@odata.context":"x","value":[{"id":"AAMkA1","subject":"cut of',
        b"<html><body><h1>503 Service Unavailable</h1></body></html>",
        b"[" * 10_000,
        b'{"value":null,"@odata.nextLink":""}',
        b'{"value":{"id":"A"}}',
        b"[]",
        b"null",
        b"5",
        b"{}",
    ],
)
async def test_a_page_that_is_none_is_an_error_to_retry(body: bytes) -> None:
    source = answering(body)
    for call in (source.page(FOLDER, EVER, size=4), source.places(FOLDER, EVER, size=4), source.folders()):
        with pytest.raises(RetryLaterError) as raised:
            await call
        assert raised.value.code == "bad_answer"


@pytest.mark.parametrize(
    "item",
    [
        None,
        5,
        "text",
        [],
        {},
        {"id": None},
        {"id": 5},
        {"id": ""},
        {"id": " "},
        {"id": ".."},
        {"id": "a\x00b"},
        {"id": "\ud83d"},
        {"id": "é"},
        {"id": "x" * 2000},
    ],
)
async def test_an_item_without_a_usable_id_is_told_and_found_again(item: Any) -> None:
    source = answering({"value": [{"id": "AAMkGood"}, item]})
    page = await source.page(FOLDER, EVER, size=10)
    assert [good.source_id for good in page.items] == ["AAMkGood"]
    [told] = page.unreadable
    assert told.code == "id_missing"
    assert told.source_id.startswith("no-id-")
    assert told.folder_id == FOLDER
    places = await source.places(FOLDER, EVER, size=10)
    assert {place.source_id for place in places.places} == {"AAMkGood", told.source_id}


async def test_fields_of_wrong_types_become_nothing() -> None:
    item = {"id": "A", "receivedDateTime": 5, "changeKey": [], "parentFolderId": {}, "isDraft": "yes"}
    source = answering({"value": [item]})
    [read] = (await source.page(FOLDER, EVER, size=10)).items
    assert (read.received_at, read.change_key, read.folder_id) == (None, "", FOLDER)
    [place] = (await source.places(FOLDER, EVER, size=10)).places
    assert not place.draft


@pytest.mark.parametrize(
    "date", ["0001-01-01T00:00:00Z", "1601-01-01T00:00:00Z", "yesterday", "", "2026-13-01T00:00:00Z"]
)
async def test_a_date_that_is_none_is_none(date: str) -> None:
    page = await answering({"value": [{"id": "A", "receivedDateTime": date}]}).page(FOLDER, EVER, size=10)
    assert page.items[0].received_at is None


async def test_an_item_nested_too_deeply_is_told() -> None:
    body = b'{"value":[{"id":"A","x":' + b"[" * 900 + b"]" * 900 + b'},{"id":"B"}]}'
    try:
        page = await answering(body).page(FOLDER, EVER, size=10)
    except RetryLaterError as error:
        assert error.code == "bad_answer"
    else:
        assert {i.source_id for i in page.items} | {u.source_id for u in page.unreadable} == {"A", "B"}


@pytest.mark.parametrize(
    "link", [5, ["https://graph.test/v1.0/x"], "https://evil.test/", "/relative", "http://graph.test/v1.0/"]
)
async def test_a_continuation_that_cannot_be_followed_is_told(link: Any) -> None:
    page = await answering({"value": [{"id": "A"}], "@odata.nextLink": link}).page(FOLDER, SINCE, size=10)
    assert (len(page.items), page.next, page.broken_link) == (1, None, True)


@pytest.mark.parametrize("window", [Window(None, None), Window(NOON, NOON + timedelta(seconds=1))])
async def test_where_dates_do_not_lead_on_items_are_counted(window: Window) -> None:
    """Every link leads to another host; nobody follows it."""

    def handle(request: httpx.Request) -> httpx.Response:
        assert request.url.host == "graph.test"
        skip = int(request.url.params.get("$skip", 0))
        items = [{"id": f"A{n}"} for n in range(skip, min(25, skip + 10))]
        return httpx.Response(200, json={"value": items, "@odata.nextLink": "https://evil.test/"})

    source, found, link = source_over(handle), [], None
    for _ in range(4):
        page = await source.page(FOLDER, window, size=10, link=link)
        found += [item.source_id for item in page.items]
        link = page.next
    assert found == [f"A{n}" for n in range(25)]
    assert (link, page.broken_link) == (None, False)


async def test_pages_without_end_that_hold_nothing_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("atom_backfill.sources.outlook.walk.LINKS_KEPT", 50)
    numbers = iter(range(10_000))

    def handle(request: httpx.Request) -> httpx.Response:
        return httpx.Response(
            200, json={"value": [], "@odata.nextLink": f"https://graph.test/v1.0/x?n={next(numbers)}"}
        )

    source = source_over(handle)
    page = await source.page(FOLDER, EVER, size=10)
    for _ in range(100):
        if page.broken_link:
            break
        page = await source.page(FOLDER, EVER, size=10, link=page.next)
    assert page.broken_link


async def test_more_than_was_asked_for_is_given_in_pages_of_the_size_asked() -> None:
    everything = [{"id": f"A{n}"} for n in range(25)]

    def handle(request: httpx.Request) -> httpx.Response:
        skip = int(request.url.params.get("$skip", "0"))
        return httpx.Response(200, json={"value": everything[skip:]})

    source = source_over(handle)
    page = await source.page(FOLDER, EVER, size=10)
    found = [item.source_id for item in page.items]
    while page.next:
        page = await source.page(FOLDER, EVER, size=10, link=page.next)
        assert len(page.items) <= 10
        found += [item.source_id for item in page.items]
    assert set(found) == {item["id"] for item in everything}
    assert len(found) <= 30, "what is over is read again, which does no harm"


async def test_ids_are_quoted_and_mended_once() -> None:
    paths: list[str] = []

    def handle(request: httpx.Request) -> httpx.Response:
        paths.append(request.url.raw_path.decode().split("?")[0])
        if "%2F" in paths[-1]:
            return httpx.Response(
                400, json={"error": {"code": "ErrorInvalidIdMalformed", "message": "Id is malformed."}}
            )
        return httpx.Response(200, json={"id": "a-b_c="})

    item = await source_over(handle).message(SourceId("a/b+c="))
    assert item.source_id == "a-b_c="
    assert paths == [
        "/v1.0/users/ines%40example.com/messages/a%2Fb%2Bc%3D",
        "/v1.0/users/ines%40example.com/messages/a-b_c%3D",
    ]


async def test_every_request_carries_the_headers_that_graph_needs() -> None:
    seen: list[httpx.Headers] = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers)
        link = "https://graph.test/v1.0/next" if len(seen) == 1 else None
        return httpx.Response(
            200, json={"value": [{"id": f"A{len(seen)}"}], **({"@odata.nextLink": link} if link else {})}
        )

    source = source_over(handle)
    page = await source.page(FOLDER, EVER, size=10)
    await source.page(FOLDER, EVER, size=10, link=page.next)
    assert [headers["prefer"] for headers in seen] == ['IdType="ImmutableId"'] * 2
    assert [headers["authorization"] for headers in seen] == ["Bearer token"] * 2
    assert len({headers["client-request-id"] for headers in seen}) == 2


def tree(*folders: dict[str, Any]) -> Callable[[httpx.Request], httpx.Response]:
    """Serve folders by their parentFolderId."""

    def handle(request: httpx.Request) -> httpx.Response:
        parts = request.url.path.removeprefix("/v1.0/users/ines@example.com/").split("/")
        if len(parts) == 2 and parts[1] == "msgfolderroot":
            return httpx.Response(200, json={"id": "root", "totalItemCount": 0})
        if len(parts) == 2:
            known = [f for f in folders if f.get("known") == parts[1]]
            missing = {"error": {"code": "ErrorFolderNotFound"}}
            return httpx.Response(200, json=known[0]) if known else httpx.Response(404, json=missing)
        parent = "root" if len(parts) == 1 else parts[1]
        found = {"value": [f for f in folders if f.get("parentFolderId") == parent]}
        return httpx.Response(200, content=json.dumps(found).encode())

    return handle


async def listed(*folders: dict[str, Any]) -> dict[str, Folder]:
    return {folder.folder_id: folder for folder in await source_over(tree(*folders)).folders()}


def below(parent: str, id_: str, name: Any, **about: Any) -> dict[str, Any]:
    return {"id": id_, "displayName": name, "parentFolderId": parent, **about}


async def test_names_become_paths_that_can_be_told_apart() -> None:
    found = await listed(
        below("root", "a", "Projects"),
        below("root", "b", "projects"),
        below("a", "c", "R/D"),
        below("a", "d", "back\\slash"),
        below("a", "e", "  tab\there\x00\u202egnp.exe "),
        below("a", "f", ""),
        below("a", "g", None),
        below("a", "h", "\ud83d"),
        below("c", "i", "x" * 5000),
    )
    assert {id_: folder.path for id_, folder in found.items() if id_ != "i"} == {
        "a": "Projects",
        "b": "projects (2)",
        "c": "Projects/R\\/D",
        "d": "Projects/back\\\\slash",
        "e": "Projects/tab heregnp.exe",
        "f": "Projects/(no name)",
        "g": "Projects/(no name) (2)",
        "h": "Projects/\ufffd",
    }
    assert len(found["i"].path) < 300


async def test_folders_are_marked_and_a_saved_search_is_not_entered() -> None:
    found = await listed(
        below("root", "in", "Posteingang", known="inbox", totalItemCount=7),
        below("root", "junk", "Junk-E-Mail", known="junkemail"),
        below("root", "hid", "Hidden", isHidden=True, totalItemCount=-5),
        below("root", "search", "Unread", **{"@odata.type": "#microsoft.graph.mailSearchFolder"}),
        below("search", "inside", "Never"),
        below("hid", "deep", "Deep", childFolderCount=0),
        below("deep", "deeper", "Deeper"),
    )
    assert set(found) == {"in", "junk", "hid", "search", "deep", "deeper"}
    assert (found["in"].well_known, found["in"].path, found["in"].messages_hint) == ("inbox", "Posteingang", 7)
    assert found["junk"].well_known == "junkemail"
    assert (found["hid"].hidden, found["hid"].messages_hint) == (True, None)
    assert found["search"].search
    assert found["deeper"].path == "Hidden/Deep/Deeper"


async def test_folders_that_contain_each_other_are_each_listed_once() -> None:
    found = await listed(
        below("root", "a", "A"),
        below("a", "b", "B"),
        below("b", "a", "A"),
        below("b", "root", "Top"),
        below("a", "a", "Self"),
    )
    assert set(found) == {"a", "b"}


async def test_a_folder_without_a_usable_id_is_left_out() -> None:
    found = await listed(below("root", "a", "A"), below("root", "", "No id"), below("root", "..", "Up"))
    assert set(found) == {"a"}


async def test_mail_in_the_root_itself_is_a_folder() -> None:
    def handle(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/msgfolderroot"):
            return httpx.Response(200, json={"id": "root", "totalItemCount": 3})
        return tree()(request)

    [root] = await source_over(handle).folders()
    assert (root.folder_id, root.path, root.messages_hint) == ("root", "(root)", 3)


async def test_a_request_that_graph_does_not_take_is_a_bug_and_not_repeated() -> None:
    calls: list[int] = []

    def handle(request: httpx.Request) -> httpx.Response:
        calls.append(1)
        return httpx.Response(
            400, json={"error": {"code": "InefficientFilter", "message": "The restriction is too complex."}}
        )

    with pytest.raises(BugError):
        await source_over(handle).page(FOLDER, EVER, size=10)
    assert len(calls) == 1
