"""Microsoft's own SDK against the simulator (`make test-sdk`; skipped where the SDK is not installed)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from graph_simulator import (
    Simulator,
    a_folder,
    a_graph_message,
    a_mailbox,
    folder_id,
    graph_simulator,
    message_id,
)

pytestmark = [pytest.mark.sdk, pytest.mark.filterwarnings("ignore::DeprecationWarning")]
msgraph = pytest.importorskip("msgraph", reason="msgraph-sdk is not installed: make test-sdk")

USER = "ines@example.com"


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    folders = [a_folder("Inbox"), a_folder("Atlas", parent="Inbox"), a_folder("Archive")]
    messages = [a_graph_message(number) for number in range(43)]
    with graph_simulator([a_mailbox(messages=messages, folders=folders)]) as running:
        yield running


@asynccontextmanager
async def sdk(simulator: Simulator) -> AsyncIterator[Any]:
    """The SDK's client with an app-only token, pointed at the simulator."""
    from kiota_abstractions.authentication.access_token_provider import AccessTokenProvider
    from kiota_abstractions.authentication.allowed_hosts_validator import AllowedHostsValidator
    from kiota_abstractions.authentication.base_bearer_token_authentication_provider import (
        BaseBearerTokenAuthenticationProvider,
    )
    from msgraph import GraphRequestAdapter, GraphServiceClient

    class FixedToken(AccessTokenProvider):
        async def get_authorization_token(self, uri: str, additional_authentication_context: Any = None) -> str:
            return simulator.app_only()["Authorization"].removeprefix("Bearer ")

        def get_allowed_hosts_validator(self) -> AllowedHostsValidator:
            return AllowedHostsValidator([])

    adapter = GraphRequestAdapter(BaseBearerTokenAuthenticationProvider(FixedToken()))
    adapter.base_url = f"{simulator.url}/v1.0"
    client = GraphServiceClient(request_adapter=adapter)
    client.path_parameters["baseurl"] = adapter.base_url
    yield client


def asking(builder: Any, parameters: str, headers: dict[str, str] | None = None, **values: Any) -> Any:
    """A request configuration with query parameters of a builder's own class."""
    from kiota_abstractions.base_request_configuration import RequestConfiguration

    found: Any = RequestConfiguration(query_parameters=getattr(builder, parameters)(**values))
    for name, value in (headers or {}).items():
        found.headers.add(name, value)
    return found


async def test_the_page_iterator_walks_every_message(simulator: Simulator) -> None:
    from msgraph.generated.users.item.messages.messages_request_builder import MessagesRequestBuilder
    from msgraph_core.tasks.page_iterator import PageIterator

    async with sdk(simulator) as client:
        asked = asking(MessagesRequestBuilder, "MessagesRequestBuilderGetQueryParameters", top=7, select=["subject"])
        first = await client.users.by_user_id(USER).messages.get(request_configuration=asked)
        seen: list[str] = []

        def take(message: Any) -> bool:
            seen.append(message.subject)
            return True

        await PageIterator(first, client.request_adapter).iterate(take)
        assert seen == [f"Lease {number}" for number in range(42, -1, -1)]


async def test_a_delta_round_is_walked_by_its_links(simulator: Simulator) -> None:
    async with sdk(simulator) as client:
        messages = client.users.by_user_id(USER).mail_folders.by_mail_folder_id("inbox").messages
        page = await messages.delta.get()
        seen = [message.id for message in page.value]
        while page.odata_next_link:
            page = await messages.delta.with_url(page.odata_next_link).get()
            seen += [message.id for message in page.value]
        assert len(set(seen)) == 43
        link = page.odata_delta_link
        simulator.control("POST", "/mailboxes/ines/messages", a_graph_message(50))
        simulator.control("DELETE", f"/mailboxes/ines/messages/{message_id(50)}")
        changes = await messages.delta.with_url(link).get()
        assert [message.additional_data["@removed"]["reason"] for message in changes.value] == ["deleted"]


async def test_folders_filters_counts_and_bodies_arrive_as_typed_objects(simulator: Simulator) -> None:
    from msgraph.generated.users.item.messages.item.message_item_request_builder import MessageItemRequestBuilder
    from msgraph.generated.users.item.messages.messages_request_builder import MessagesRequestBuilder

    async with sdk(simulator) as client:
        user = client.users.by_user_id(USER)
        folders = await user.mail_folders.get()
        assert {folder.display_name for folder in folders.value} == {"Inbox", "Archive"}
        children = await user.mail_folders.by_mail_folder_id(folder_id("Inbox")).child_folders.get()
        assert [child.display_name for child in children.value] == ["Atlas"]
        condition = "receivedDateTime ge 2024-01-01T00:10:00Z and receivedDateTime lt 2024-01-01T00:13:00Z"
        asked = asking(
            MessagesRequestBuilder,
            "MessagesRequestBuilderGetQueryParameters",
            filter=condition,
            orderby=["receivedDateTime desc"],
            count=True,
        )
        page = await user.messages.get(request_configuration=asked)
        assert (page.odata_count, [message.subject for message in page.value]) == (
            3,
            ["Lease 12", "Lease 11", "Lease 10"],
        )
        assert page.value[0].received_date_time.isoformat() == "2024-01-01T00:12:00+00:00"
        assert await user.messages.count.get() == 43
        immutable = {"Prefer": 'IdType="ImmutableId"'}
        one = asking(MessageItemRequestBuilder, "MessageItemRequestBuilderGetQueryParameters", headers=immutable)
        message = await user.messages.by_message_id(message_id(3)).get(request_configuration=one)
        assert (message.id, message.body.content) == (message_id(3), "The lease, part 3.\r\n")
        assert message.from_.email_address.address == "ines@lumen.example"


async def test_a_refusal_arrives_as_the_sdk_s_own_error(simulator: Simulator) -> None:
    from msgraph.generated.models.o_data_errors.o_data_error import ODataError

    async with sdk(simulator) as client:
        with pytest.raises(ODataError) as caught:
            await client.users.by_user_id(USER).messages.by_message_id("AAMk" + "x" * 60).get()
        assert caught.value.response_status_code == 404
        assert caught.value.error.code == "ErrorItemNotFound"
        with pytest.raises(ODataError) as caught:
            await client.me.messages.get()
        assert caught.value.error.message == "/me request is only valid with delegated authentication flow."


async def test_the_sdk_waits_out_a_throttled_call(simulator: Simulator) -> None:
    simulator.control("PUT", "/faults", [{"on": "messages", "kind": "429", "at": [1], "retry_after": 1}])
    async with sdk(simulator) as client:
        assert len((await client.users.by_user_id(USER).messages.get()).value) == 10
    simulator.control("PUT", "/faults", [])
