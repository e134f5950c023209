"""Answers hold to the types of Graph v1.0.

`graph_mail_schemas.json` has the response schemas of the mail part, derived from Microsoft's CSDL (msgraph-metadata
f54f11b6, schemas/v1.0-Prod.csdl, MIT). `ATOM_GRAPH_OPENAPI` names a fuller OpenAPI document to be used in its place.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from graph_simulator import (
    Simulator,
    a_folder,
    a_graph_message,
    a_mailbox,
    folder_id,
    graph_simulator,
    message_id,
)

SCHEMAS = Path(__file__).with_name("graph_mail_schemas.json")
# Sent by the live service though the CSDL does not have it.
BEYOND = {"sizeInBytes"}
ATTACHMENT = {"name": "plan.txt", "contentType": "text/plain", "size": 3, "isInline": False, "contentBytes": "YWJj"}
EVENT = {"@odata.type": "#microsoft.graph.eventMessageRequest", "meetingMessageType": "meetingRequest"}
SEARCH = {
    "@odata.type": "#microsoft.graph.mailSearchFolder",
    "filterQuery": "isRead eq false",
    "sourceFolderIds": [folder_id("Inbox")],
    "sizeInBytes": 4,
}


@pytest.fixture(scope="module")
def document() -> Mapping[str, Any]:
    named = os.environ.get("ATOM_GRAPH_OPENAPI")
    if named:
        return dict(yaml.safe_load(Path(named).read_text("utf-8")))
    return dict(json.loads(SCHEMAS.read_text("utf-8")))


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    messages = [a_graph_message(number) for number in range(12)]
    messages.append(a_graph_message(20, hasAttachments=True, attachments=[ATTACHMENT]))
    messages.append(a_graph_message(21, **EVENT))
    messages.append(a_graph_message(22, flag={"flagStatus": "flagged"}, **{"from": None}))
    folders = [a_folder("Inbox"), a_folder("Archive"), a_folder("Unread", **SEARCH)]
    with graph_simulator([a_mailbox(messages=messages, folders=folders)]) as running:
        yield running


def check(document: Mapping[str, Any], schema: str, content: Any) -> None:
    whole = {"$ref": f"#/components/schemas/{schema}", "components": document["components"]}
    jsonschema.Draft202012Validator(whole).validate(content)


def properties(document: Mapping[str, Any], schema: str) -> set[str]:
    """The names that a type has, with those it inherits."""
    found = document["components"]["schemas"][schema]
    names = set(found.get("properties", {}))
    for part in found.get("allOf", []):
        names |= set(part.get("properties", {}))
        if "$ref" in part:
            names |= properties(document, part["$ref"].rsplit("/", 1)[1])
    return names


CALLS = {
    "/messages?$count=true&$expand=attachments": ("messageCollection", "microsoft.graph.message"),
    "/messages?$select=subject": ("messageCollection", "microsoft.graph.message"),
    "/mailFolders/inbox/messages?$top=100": ("messageCollection", "microsoft.graph.message"),
    "/mailFolders/inbox/messages/delta": ("messageDelta", "microsoft.graph.message"),
    "/mailFolders?$count=true": ("mailFolderCollection", "microsoft.graph.mailFolder"),
    "/mailFolders/inbox/childFolders": ("mailFolderCollection", "microsoft.graph.mailFolder"),
    "/mailFolders/delta": ("mailFolderDelta", "microsoft.graph.mailFolder"),
    f"/messages/{message_id(20)}/attachments": ("attachmentCollection", "microsoft.graph.attachment"),
}


@pytest.mark.parametrize("path", list(CALLS))
def test_a_list_has_its_type_and_its_items_have_no_unknown_property(
    simulator: Simulator, document: Mapping[str, Any], path: str
) -> None:
    schema, item_type = CALLS[path]
    content = simulator.get(path).json()
    check(document, schema, content)
    for item in content["value"]:
        derived = str(item.get("@odata.type", f"#{item_type}")).lstrip("#")
        check(document, derived, item)
        names = {name for name in item if not name.startswith("@")}
        assert names <= properties(document, derived) | BEYOND


@pytest.mark.parametrize(
    ("path", "schema"),
    [
        (f"/messages/{message_id(1)}", "microsoft.graph.message"),
        (f"/messages/{message_id(1)}?$select=uniqueBody,internetMessageHeaders", "microsoft.graph.message"),
        (f"/messages/{message_id(21)}", "microsoft.graph.eventMessageRequest"),
        ("/mailFolders/inbox", "microsoft.graph.mailFolder"),
        ("/mailFolders/msgfolderroot", "microsoft.graph.mailFolder"),
        (f"/mailFolders/{folder_id('Unread')}", "microsoft.graph.mailSearchFolder"),
    ],
)
def test_a_single_resource_has_its_type(
    simulator: Simulator, document: Mapping[str, Any], path: str, schema: str
) -> None:
    content = simulator.get(path).json()
    check(document, schema, content)
    assert {name for name in content if not name.startswith("@")} <= properties(document, schema) | BEYOND


@pytest.mark.parametrize(
    "path", ["/messages/nope", "/messages?$top=0", "/mailFolders/clutter", "/x", "/messages?$filter=a eq 'b'"]
)
def test_an_error_has_its_type(simulator: Simulator, document: Mapping[str, Any], path: str) -> None:
    answer = simulator.get(path)
    assert answer.status_code >= 400
    check(document, "ODataError", answer.json())


def test_a_batch_and_a_removal_have_their_types(simulator: Simulator, document: Mapping[str, Any]) -> None:
    parts = [
        {"id": str(n), "method": "GET", "url": f"/users/ines@example.com/messages/{message_id(n)}"} for n in (1, 99)
    ]
    check(document, "batchResponse", simulator.http.post("/v1.0/$batch", json={"requests": parts}).json())
    link = simulator.pages("/mailFolders/inbox/messages/delta")[-1]["@odata.deltaLink"]
    simulator.control("DELETE", f"/mailboxes/ines/messages/{message_id(11)}")
    content = simulator.get(link).json()
    assert content["value"][0]["@removed"] == {"reason": "deleted"}
    check(document, "messageDelta", content)


def test_the_check_can_fail(document: Mapping[str, Any]) -> None:
    for wrong in ({"value": [{"id": 5}]}, {"value": [{"isRead": "true"}]}, {"value": [{"importance": "huge"}]}, {}):
        with pytest.raises(jsonschema.ValidationError):
            check(document, "messageCollection", wrong)
