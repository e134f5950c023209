"""A tenant's own keys: sealed, apart from other tenants', and what is learnt of them."""

from __future__ import annotations

import pytest

from atom_backfill.access.keys import Keys, KeyStatus, ModelKey
from atom_backfill.access.postgres import PostgresKeys
from atom_backfill.access.vault import Vault
from atom_backfill.errors import AtomError, KeyNeededError, NeedsOwnerError, NotFoundError, RetryLaterError, UsageError
from atom_backfill.jobs.postgres_lanes import key_has_changed
from atom_backfill.llm.form import Form
from worlds import World

URL, MODEL, VALUE = "https://models.example/v1", "small-model", "sk-of-lumen"


class Endpoint:
    """What a key's endpoint says."""

    def __init__(self, said: Form | AtomError = Form.SCHEMA) -> None:
        self.said = said
        self.asked: list[tuple[str, str]] = []

    async def __call__(self, key: ModelKey, value: str) -> Form:
        self.asked.append((key.base_url, value))
        if isinstance(self.said, AtomError):
            raise self.said
        return self.said


async def keys_of(world: World, name: str = "lumen", endpoint: Endpoint | None = None) -> Keys:
    tenant = await world.tenant(name)
    return Keys(
        PostgresKeys(world.database, tenant, lambda: Vault([bytes(32)]), key_has_changed), endpoint or Endpoint()
    )


async def test_a_key_is_kept_in_upper_case_whatever_the_case_and_no_value_is_listed(world: World) -> None:
    keys = await keys_of(world)
    await keys.set(" OpenAI_api_key ", f"{VALUE}\n", URL, MODEL)
    [listed] = await keys.list()
    assert (listed.name, listed.base_url, listed.model, listed.status) == ("OPENAI_API_KEY", URL, MODEL, "untested")
    assert VALUE not in repr(listed)
    assert VALUE.encode() not in world.value(
        "SELECT sealed FROM secrets WHERE name = 'OPENAI_API_KEY' AND sealed <> 'x'"
    )


async def test_a_key_goes_to_the_server_that_it_was_given_for(world: World) -> None:
    endpoint = Endpoint()
    keys = await keys_of(world, endpoint=endpoint)
    await keys.set("OPENAI_API_KEY", VALUE, URL, MODEL)
    tested = await keys.test("openai_api_key")
    assert endpoint.asked == [(URL, VALUE)]
    assert (tested.status, tested.form) == (KeyStatus.WORKS, Form.SCHEMA)
    assert tested.tested_at is not None


async def test_a_new_value_is_untested_again(world: World) -> None:
    keys = await keys_of(world)
    await keys.set("OPENAI_API_KEY", VALUE, URL, MODEL)
    await keys.test("OPENAI_API_KEY")
    renewed = await keys.set("OPENAI_API_KEY", "sk-another", "https://other.example/v1", MODEL)
    assert (renewed.status, renewed.form, renewed.version) == (KeyStatus.UNTESTED, None, 2)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (KeyNeededError("key_rejected", "refused"), KeyStatus.REJECTED),
        (NeedsOwnerError("quota_used_up", "no credit"), KeyStatus.QUOTA_USED_UP),
        (NeedsOwnerError("no_such_model", "no model"), KeyStatus.UNTESTED),
        (RetryLaterError("timeout", "late"), KeyStatus.UNTESTED),
    ],
)
async def test_what_the_endpoint_says_of_the_key_is_noted(world: World, error: AtomError, status: KeyStatus) -> None:
    keys = await keys_of(world, endpoint=Endpoint(error))
    await keys.set("OPENAI_API_KEY", VALUE, URL, MODEL)
    with pytest.raises(type(error)):
        await keys.test("OPENAI_API_KEY")
    assert (await keys.list())[0].status == status


async def test_what_is_learnt_of_an_earlier_value_is_not_noted_of_this_one(world: World) -> None:
    tenant = await world.tenant("lumen")
    store = PostgresKeys(world.database, tenant, lambda: Vault([bytes(32)]), key_has_changed)
    earlier = await store.save("OPENAI_API_KEY", VALUE, URL, MODEL)
    await store.save("OPENAI_API_KEY", "sk-another", URL, MODEL)
    await store.note(earlier, KeyStatus.REJECTED, None)
    assert (await store.list())[0].status is KeyStatus.UNTESTED


async def test_a_deleted_key_leaves_no_value(world: World) -> None:
    keys = await keys_of(world)
    tenant = await world.tenant("lumen")
    await keys.set("OPENAI_API_KEY", VALUE, URL, MODEL)
    assert await keys.delete("openai_api_key") == "OPENAI_API_KEY"
    assert world.rows("SELECT * FROM secrets WHERE tenant_id = %(t)s", t=tenant) == []
    for again in (keys.delete, keys.test):
        with pytest.raises(NotFoundError):
            await again("OPENAI_API_KEY")


async def test_no_tenant_has_anothers_key(world: World) -> None:
    await (await keys_of(world, "lumen")).set("OPENAI_API_KEY", VALUE, URL, MODEL)
    others = await keys_of(world, "kestrel")
    assert await others.list() == []
    with pytest.raises(NotFoundError):
        await others.test("OPENAI_API_KEY")
    with pytest.raises(NotFoundError):
        await others.delete("OPENAI_API_KEY")
    assert len(await (await keys_of(world, "lumen")).list()) == 1


@pytest.mark.parametrize("value", ["", " \n", "sk one", "sk-\nx", "sk-\x00", "schlüssel", "s" * 5000, "sk\ud800"])
async def test_what_cannot_be_a_key_is_refused_and_not_shown(world: World, value: str) -> None:
    keys = await keys_of(world)
    with pytest.raises(UsageError) as raised:
        await keys.set("OPENAI_API_KEY", value, URL, MODEL)
    assert len(value) < 3 or value not in f"{raised.value.message}{raised.value.detail}"
    assert await keys.list() == []


@pytest.mark.parametrize("name", ["", "1KEY", "MY KEY", "KEY;", "_KEY", "K" * 65, "ключ"])
async def test_what_cannot_be_a_name_is_refused(world: World, name: str) -> None:
    with pytest.raises(UsageError, match="name"):
        await (await keys_of(world)).set(name, VALUE, URL, MODEL)


@pytest.mark.parametrize("model", ["", "two words", "m\n", "m" * 201])
async def test_what_cannot_be_a_model_is_refused(world: World, model: str) -> None:
    with pytest.raises(UsageError, match="model"):
        await (await keys_of(world)).set("OPENAI_API_KEY", VALUE, URL, model)


async def test_a_key_that_is_erased_while_it_is_tested_is_said_to_be_gone(world: World) -> None:
    async def erased(key: ModelKey, value: str) -> Form:
        await keys.delete(key.name)
        return Form.SCHEMA

    keys = Keys(
        PostgresKeys(world.database, await world.tenant("lumen"), lambda: Vault([bytes(32)]), key_has_changed), erased
    )
    await keys.set("OPENAI_API_KEY", VALUE, URL, MODEL)
    with pytest.raises(NotFoundError, match="OPENAI_API_KEY"):
        await keys.test("OPENAI_API_KEY")
