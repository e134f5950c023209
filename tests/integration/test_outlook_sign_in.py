"""Sign-in through MSAL against the simulator: both kinds, every refusal, one renewal at a time."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from atom_backfill.errors import BugError, NeedsOwnerError, RetryLaterError, SignInNeededError
from atom_backfill.http import HttpClient
from atom_backfill.sources.outlook.auth import (
    Credentials,
    DeviceCode,
    MemoryTokenCache,
    OutlookTokens,
    sign_in_with_device_code,
    sign_in_with_secret,
)
from atom_backfill.sources.ports import CachedTokens
from fakes.skipping_clock import SkippingClock
from graph_world import SECRET, Json, outlook
from sign_in import PERSON, login, with_code, with_secret, world


async def test_the_app_signs_in_with_its_secret(tmp_path: Path) -> None:
    async with world(tmp_path) as found:
        signed_in = await with_secret(found)
        assert "AccessToken" in signed_in.cache
        assert signed_in.address == ""
        assert "right" not in repr(SECRET)
        assert signed_in.cache not in repr(signed_in)


async def test_a_person_signs_in_with_a_code_that_is_told_once(tmp_path: Path) -> None:
    codes: list[DeviceCode] = []
    async with world(tmp_path) as found:
        signed_in = await with_code(found, codes=codes)
        assert signed_in.address == "ines@example.com"
        [code] = codes
        assert code.user_code in code.message
        assert code.url.startswith("https://")
        assert code.expires_in == 900
        assert len(found.requests("token")) == 2, "pending, then approved"
        cache = MemoryTokenCache(signed_in.cache)
        async with outlook(found, credentials=PERSON, cache=cache) as mailbox:
            identity = await mailbox.source.identify()
            assert identity.address == "ines@example.com"
            assert identity.identity == found.service.mailboxes["ines"].user_id
            assert len(found.requests("token")) == 2, "the token of the sign-in is still good"


async def test_whoever_signs_in_as_another_person_is_told_so(tmp_path: Path) -> None:
    async with world(tmp_path) as found:
        cache = MemoryTokenCache((await with_code(found)).cache)
        async with outlook(found, credentials=PERSON, cache=cache, address="tomasz@example.org") as mailbox:
            with pytest.raises(NeedsOwnerError) as raised:
                await mailbox.source.identify()
            assert raised.value.code == "wrong_account"
            assert "choose that account" in raised.value.message
            assert "@" not in raised.value.message


SECRET_REFUSALS = {
    "wrong_secret": (Credentials("example.com", "app-1", "wrong"), {}, "Certificates & secrets"),
    "expired_secret": (Credentials("example.com", "app-1", "expired"), {}, "Certificates & secrets"),
    "unknown_tenant": (
        Credentials("nowhere.example.com", "app-1", "right"),
        {"tenants": ["example.com"]},
        "--app-tenant",
    ),
    "tenant_needed": (Credentials("common", "app-1", "right"), {}, "--app-tenant"),
}


@pytest.mark.parametrize("code", SECRET_REFUSALS)
async def test_each_refusal_of_a_secret_says_what_to_change_and_where(tmp_path: Path, code: str) -> None:
    credentials, quirks, place = SECRET_REFUSALS[code]
    async with world(tmp_path, quirks=quirks) as found:
        with pytest.raises(SignInNeededError) as raised:
            await with_secret(found, credentials)
    assert raised.value.code == code
    assert place in raised.value.message
    assert raised.value.exit_status == 4
    assert "right" not in raised.value.message + raised.value.detail


@pytest.mark.parametrize("tenant", ["", "a b", "../x", "x/y", "é", "x" * 300, "x?y", "x#y"])
async def test_a_tenant_that_cannot_be_one_is_never_sent(tmp_path: Path, tenant: str) -> None:
    async with world(tmp_path) as found:
        for credentials in (Credentials(tenant, "app-1", "right"), Credentials(tenant, "app-1")):
            with pytest.raises(SignInNeededError) as raised:
                await (with_secret if credentials.client_secret else with_code)(found, credentials)
            assert raised.value.code == "unknown_tenant"
        assert found.requests() == []


@pytest.mark.parametrize("client_id", ["", "a b", "é", "x" * 300])
async def test_a_client_id_that_cannot_be_one_is_never_sent(tmp_path: Path, client_id: str) -> None:
    async with world(tmp_path) as found:
        with pytest.raises(SignInNeededError) as raised:
            await with_secret(found, Credentials("example.com", client_id, "right"))
        assert raised.value.code == "unknown_app"
        assert found.requests() == []


async def test_a_declined_code_says_so(tmp_path: Path) -> None:
    async with world(tmp_path) as found:
        with pytest.raises(SignInNeededError) as raised:
            await with_code(found, Credentials("common", "app-declined"))
    assert raised.value.code == "sign_in_declined"


async def test_a_code_that_nobody_enters_expires(tmp_path: Path) -> None:
    async with world(tmp_path, device_life_s=0) as found:
        with pytest.raises(SignInNeededError) as raised:
            await with_code(found)
    assert raised.value.code == "code_expired"


async def test_a_sign_in_without_leave_to_read_mail_is_refused(tmp_path: Path) -> None:
    async with world(tmp_path, quirks={"granted_scopes": ["User.Read"]}) as found:
        with pytest.raises(SignInNeededError) as raised:
            await with_code(found)
    assert raised.value.code == "consent_needed"
    assert "API permissions" in raised.value.message


@pytest.mark.parametrize("kind", ["500", "503", "504", "badjson", "429"])
async def test_polling_outlives_a_bad_answer(tmp_path: Path, kind: str) -> None:
    async with world(tmp_path) as found:
        found.script({"on": "token", "kind": kind, "at": [1, 3]})
        assert (await with_code(found)).address == "ines@example.com"


async def test_a_host_that_cannot_be_reached_is_the_owners_to_fix() -> None:
    server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    async with HttpClient(f"http://127.0.0.1:{port}") as http:
        for credentials in (SECRET, PERSON):
            with pytest.raises(NeedsOwnerError) as raised:
                if credentials.client_secret:
                    await sign_in_with_secret(http, SkippingClock(), credentials, graph_base_url="https://graph.test")
                else:
                    await sign_in_with_device_code(http, SkippingClock(), credentials, lambda code: asyncio.sleep(0))
            assert raised.value.code == "login_unreachable"
            assert "ATOM_LOGIN_BASE_URL" in raised.value.message


async def test_a_hanging_sign_in_ends_within_its_limit(tmp_path: Path) -> None:
    async with world(tmp_path) as found, login(found, total_seconds=0.2) as http:
        found.script({"on": "token", "kind": "hang", "seconds": 60, "every": 1})
        tokens = OutlookTokens(http, MemoryTokenCache(), SkippingClock(), SECRET, graph_base_url=found.url)
        with pytest.raises(RetryLaterError) as raised:
            await tokens.token()
        assert raised.value.code == "timeout"


async def test_many_who_need_a_token_at_once_get_one_renewal(tmp_path: Path) -> None:
    async with world(tmp_path) as found, outlook(found) as mailbox:
        tokens = await asyncio.gather(*(mailbox.tokens.token() for _ in range(20)))
        assert len(set(tokens)) == 1
        assert len(found.requests("token")) == 1
        renewed = await asyncio.gather(*(mailbox.tokens.renew(tokens[0], None) for _ in range(20)))
        assert set(renewed) != set(tokens)
        assert len(set(renewed)) == 1
        assert len(found.requests("token")) == 2


@pytest.mark.parametrize("credentials", [SECRET, PERSON], ids=["secret", "device code"])
async def test_workers_that_share_a_cache_share_its_tokens(tmp_path: Path, credentials: Credentials) -> None:
    async with world(tmp_path) as found:
        cache = MemoryTokenCache((await with_code(found)).cache if credentials is PERSON else "")
        before = len(found.requests("token"))
        async with outlook(found, credentials=credentials, cache=cache) as one:
            first = await one.tokens.renew("", None)
            async with outlook(found, credentials=credentials, cache=cache) as other:
                assert await other.tokens.token() == first
                newer = await other.tokens.renew(first, None)
                assert newer != first
                asked = len(found.requests("token")) - before
                assert await one.tokens.renew(first, None) == newer, "the other worker's renewal serves this one too"
                assert len(found.requests("token")) - before == asked


async def test_a_person_stays_signed_in_by_the_newest_refresh_token(tmp_path: Path) -> None:
    """Where each refresh token works once, a worker that starts later must find the last one."""
    async with world(tmp_path, quirks={"strict_rotation": True}) as found:
        cache = MemoryTokenCache((await with_code(found)).cache)
        token = ""
        for _ in range(4):
            async with outlook(found, credentials=PERSON, cache=cache) as worker:
                token = await worker.tokens.renew(await worker.tokens.token(), None)
        assert token
        assert (await cache.load()).version == 5


class Watched(MemoryTokenCache):
    """Tells when a renewal has begun."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.begun = asyncio.Event()

    @asynccontextmanager
    async def refreshing(self) -> AsyncIterator[CachedTokens]:
        async with super().refreshing() as cached:
            self.begun.set()
            yield cached


async def test_a_renewal_whose_worker_is_stopped_meanwhile_keeps_the_newest_refresh_token(tmp_path: Path) -> None:
    async with world(tmp_path, quirks={"strict_rotation": True}) as found:
        cache = Watched((await with_code(found)).cache)
        async with outlook(found, credentials=PERSON, cache=cache) as stopped:
            token = await stopped.tokens.token()
            cache.begun.clear()
            found.script({"on": "token", "kind": "slow", "seconds": 0.3, "every": 1})
            asked = len(found.requests("token"))
            renewing = asyncio.create_task(stopped.tokens.renew(token, None))
            async with asyncio.timeout(10):
                await cache.begun.wait()
                renewing.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await renewing
                while len(found.requests("token")) == asked:  # noqa: ASYNC110 - the service's journal is what tells
                    await asyncio.sleep(0.001)
        async with outlook(found, credentials=PERSON, cache=cache) as worker:
            assert await worker.tokens.renew(await worker.tokens.token(), None)


async def test_a_refresh_token_that_could_not_be_stored_is_used_and_stored_next_time(tmp_path: Path) -> None:
    """The database goes away between the service's answer and the store."""
    async with world(tmp_path, quirks={"strict_rotation": True}) as found:
        cache = MemoryTokenCache((await with_code(found)).cache)
        async with outlook(found, credentials=PERSON, cache=cache) as worker:
            token = await worker.tokens.token()
            store, cache.store = cache.store, _away  # type: ignore[method-assign]
            with pytest.raises(RetryLaterError):
                await worker.tokens.renew(token, None)
            cache.store = store  # type: ignore[method-assign]
            renewed = await worker.tokens.renew(token, None)
            assert renewed != token
        async with outlook(found, credentials=PERSON, cache=cache) as later:
            assert await later.tokens.renew(renewed, None)


async def _away(text: str, *, version: int) -> bool:
    raise RetryLaterError("database_unavailable", "It is away.")


async def test_a_revoked_sign_in_needs_the_owner(tmp_path: Path) -> None:
    async with world(tmp_path) as found:
        cache = MemoryTokenCache((await with_code(found)).cache)
        async with outlook(found, credentials=PERSON, cache=cache) as mailbox:
            await mailbox.source.identify()
            found.service.tokens.end_all()
            found.service.sign_in.revoke_all()
            with pytest.raises(SignInNeededError) as raised:
                await mailbox.source.folders()
            assert raised.value.code == "sign_in_expired"
            assert "What is stored stays" in " ".join(raised.value.message.split())


@pytest.mark.parametrize("text", ["", "not json", "{}", "[]", '{"RefreshToken": 5}'])
async def test_without_a_usable_cache_a_person_has_to_sign_in(tmp_path: Path, text: str) -> None:
    async with world(tmp_path) as found:
        async with outlook(found, credentials=PERSON, cache=MemoryTokenCache(text)) as mailbox:
            with pytest.raises(SignInNeededError) as raised:
                await mailbox.tokens.token()
        assert raised.value.code == "not_signed_in"


async def test_an_old_token_is_renewed_before_it_is_used(tmp_path: Path) -> None:
    async with world(tmp_path) as found, outlook(found) as mailbox:
        first = await mailbox.tokens.token()
        mailbox.clock.skip(3200)
        assert await mailbox.tokens.token() == first
        mailbox.clock.skip(200)
        await mailbox.tokens.token()
        assert len(found.requests("token")) == 1, "MSAL goes by the real clock, and finds it good"


async def test_endpoints_of_another_host_are_not_used(tmp_path: Path) -> None:
    """A discovery document that points elsewhere gets no secret sent there."""

    def handle(request: httpx.Request) -> httpx.Response:
        base = "https://evil.example.net/t"
        return httpx.Response(
            200,
            json={"authorization_endpoint": base, "token_endpoint": base, "device_authorization_endpoint": base},
        )

    async with HttpClient("https://login.microsoftonline.com", transport=httpx.MockTransport(handle)) as http:
        with pytest.raises(BugError) as raised:
            await sign_in_with_secret(http, SkippingClock(), SECRET, graph_base_url="https://graph.microsoft.com")
        assert raised.value.code == "foreign_host"


def cloud(seen: list[httpx.Request]) -> Callable[[httpx.Request], httpx.Response]:
    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        origin = f"https://{request.url.host}/t1/oauth2/v2.0"
        if request.method == "GET":
            names = ("authorization_endpoint", "token_endpoint", "device_authorization_endpoint")
            return httpx.Response(200, json=dict.fromkeys(names, f"{origin}/token"))
        return httpx.Response(200, json={"access_token": "t", "expires_in": 3599, "token_type": "Bearer"})

    return handle


@pytest.mark.parametrize(
    ("base", "graph", "scope"),
    [
        ("https://login.microsoftonline.com", "https://graph.microsoft.com/v1.0", "https://graph.microsoft.com"),
        ("https://login.microsoftonline.us", "https://graph.microsoft.us/v1.0", "https://graph.microsoft.us"),
        ("https://login.microsoftonline.us", "https://dod-graph.microsoft.us/v1.0", "https://dod-graph.microsoft.us"),
        (
            "https://login.chinacloudapi.cn",
            "https://microsoftgraph.chinacloudapi.cn/v1.0",
            "https://microsoftgraph.chinacloudapi.cn",
        ),
        ("https://login.example.test", "https://graph.example.test/v1.0", "https://graph.microsoft.com"),
    ],
)
async def test_each_cloud_is_asked_at_its_own_hosts(base: str, graph: str, scope: str) -> None:
    seen: list[httpx.Request] = []
    async with HttpClient(base, transport=httpx.MockTransport(cloud(seen))) as http:
        await sign_in_with_secret(http, SkippingClock(), SECRET, graph_base_url=graph)
    assert {f"https://{request.url.host}" for request in seen} == {base}
    form = dict(httpx.QueryParams(seen[-1].content.decode()))
    assert form["scope"] == f"{scope}/.default"
    assert form["client_secret"] == "right"
    assert seen[0].url.path == "/example.com/v2.0/.well-known/openid-configuration"


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"null", b"<html>sign in to the hotel's network</html>", b"{}", b'{"token_endpoint": 5}'],
)
async def test_an_answer_that_is_no_discovery_document_is_a_bad_answer(body: bytes) -> None:
    transport = httpx.MockTransport(lambda request: httpx.Response(200, content=body))
    async with HttpClient("https://login.microsoftonline.com", transport=transport) as http:
        with pytest.raises(RetryLaterError) as raised:
            await sign_in_with_secret(http, SkippingClock(), SECRET, graph_base_url="https://graph.microsoft.com")
    assert raised.value.code == "bad_answer"


async def test_no_secret_reaches_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with world(tmp_path) as found:
        found.script({"on": "token", "kind": "badjson", "at": [1]})
        cache = MemoryTokenCache()
        async with outlook(
            found, cache=cache, credentials=Credentials("example.com", "app-1", "s3cr3t-value")
        ) as mailbox:
            with pytest.raises(RetryLaterError):
                await mailbox.tokens.token()
            token = await mailbox.tokens.token()
            await mailbox.source.identify()
    text = caplog.text + "".join(str(record.args) for record in caplog.records)
    assert token not in text
    assert "s3cr3t-value" not in text
    assert json.loads((await cache.load()).text)["AccessToken"]


async def test_a_claims_challenge_is_answered_with_a_token_for_it(tmp_path: Path) -> None:
    async with world(tmp_path) as found, outlook(found) as mailbox:
        first = await mailbox.tokens.token()
        claims: Json = {"access_token": {"nbf": {"essential": True, "value": "1700000000"}}}
        assert await mailbox.tokens.renew(first, json.dumps(claims)) != first
        assert len(found.requests("token")) == 2
