"""Outlook mailboxes are connected by both kinds of sign-in, and each refusal says what to change and where."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from e2e.mailboxes import FOLDERS, mails
from e2e.product import Done, Product, Simulator, a_product, a_simulator
from fakes.embedding_server import embedding_server
from graph_world import write_mailbox

SECRET = "s3cret-of-the-app"


@dataclass
class World:
    """A home with nothing in it, and a directory with five mailboxes of which the app may read two."""

    data: Path
    simulator: Simulator
    product: Product

    def connect(self, user: str, *options: str, secret: str = SECRET, status: int = 0) -> Done:
        path = self.product.home.with_name("secret")
        path.write_text(secret)
        registration = ("--app-tenant", "example.com", "--client-id", "app-1", "--client-secret-file", str(path))
        return self.product.run("connect", "outlook", "--user", user, *registration, *options, status=status)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    base = tmp_path_factory.mktemp("connect")
    for name in ("ines", "max", "nora", "otto"):
        write_mailbox(base / "data", mails("Inbox", 6), [*FOLDERS.values()], name)
    quirks = ('allowed_mailboxes=["ines", "max", "otto"]', 'inactive_mailboxes=["otto"]')
    flags = [part for quirk in quirks for part in ("--quirk", quirk)]
    with ExitStack() as stack:
        embeddings = stack.enter_context(embedding_server())
        simulator = stack.enter_context(a_simulator(base / "data", *flags, "--device-interval", "1", "--user", "max"))
        product = stack.enter_context(a_product(base / "home", simulator=simulator, embeddings=embeddings.url))
        yield World(base / "data", simulator, product)


@pytest.mark.parametrize(
    ("user", "secret", "status", "words"),
    [
        ("ines@example.com", "wrong", 4, ("client secret is wrong", "Certificates & secrets")),
        ("ines@example.com", "expired", 4, ("client secret has expired", "Certificates & secrets")),
        ("nobody@example.com", SECRET, 3, ("mailbox", "address")),
        ("nora@example.com", SECRET, 1, ("access", "Mail.Read")),
        ("otto@example.com", SECRET, 3, ("mailbox",)),
        ("ines@example.com", " \n", 2, ("is empty",)),
    ],
)
def test_each_refusal_has_its_status_and_says_what_to_change(
    world: World, user: str, secret: str, status: int, words: tuple[str, ...]
) -> None:
    done = world.connect(user, secret=secret, status=status)
    assert done.out == ""
    assert [word for word in words if word not in done.err] == []
    assert world.product.json("accounts")["accounts"] == [], "nothing is kept of a mailbox that cannot be read"


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (["--user", "ines@example.com"], "--client-id"),
        (["--client-id", "app-1", "--user", "not addr"], "names no mailbox"),
        (["--client-id", "app-1", "--client-secret-file", "{file}"], "--app-tenant"),
        (["--client-id", "app-1", "--app-tenant", "t", "--client-secret-file", "{file}"], "--user"),
    ],
)
def test_an_incomplete_registration_is_wrong_usage(world: World, options: list[str], word: str) -> None:
    path = world.product.home.with_name("secret")
    path.write_text(SECRET)
    filled = [option.format(file=path) for option in options]
    assert word in world.product.run("connect", "outlook", *filled, status=2).err


def test_the_app_signs_in_and_the_same_mailbox_again_is_the_same_account(world: World) -> None:
    first = world.connect("ines@example.com", "--json").json
    assert (first["address"], first["kind"]) == ("ines@example.com", "outlook")
    user_id = next(
        each["user_id"] for each in world.simulator.control("GET", "/mailboxes")["mailboxes"] if each["name"] == "ines"
    )
    assert world.connect(user_id, "--json").json["account_id"] == first["account_id"], "an id names the same mailbox"
    assert len(world.product.json("accounts")["accounts"]) == 1


def test_no_secret_lies_open(world: World) -> None:
    world.connect("ines@example.com")
    with psycopg.connect(world.product.superuser_url) as connection:
        sealed = connection.execute("SELECT sealed FROM secrets").fetchall()
        rows = connection.execute("SELECT accounts::text FROM accounts").fetchall()
    assert sealed
    assert [row for (row,) in sealed if SECRET.encode() in row or b"AccessToken" in row] == []
    assert [row for (row,) in rows if SECRET in row] == []
    assert stat.S_IMODE((world.product.home / "master.key").stat().st_mode) == 0o600
    log = world.simulator.control("GET", "/log")
    assert not any("ines@example.com" in line["path"] for line in log["requests"][-3:])


def test_a_declined_code_says_so(world: World) -> None:
    done = world.product.run("connect", "outlook", "--client-id", "app-declined", status=4)
    assert "declined" in done.err.splitlines()[-1]


@pytest.mark.long
def test_a_person_signs_in_with_a_code_and_connects_again_after_the_sign_in_was_revoked(world: World) -> None:
    signing_in = ("connect", "outlook", "--client-id", "app-1", "--json")
    done = world.product.run(*signing_in)
    assert done.json["address"] == "max@example.com"
    assert "https://" in done.err, "where to enter the code"
    world.simulator.control("POST", "/tokens/revoke")
    job = world.product.start("max@example.com")
    world.product.drain()
    failed = world.product.job(job)
    assert (failed["status"], failed["records_processed"]) == ("failed", 0)
    assert "connect the mailbox again" in failed["last_error"]
    world.product.run("watch", job, "--until-done", status=1)
    statuses = {each["address"]: each["status"] for each in world.product.json("accounts")["accounts"]}
    assert statuses["max@example.com"] == "sign_in_needed"
    assert world.product.run(*signing_in).json["account_id"] == done.json["account_id"]
    world.product.run("resume", job)
    world.product.drain()
    assert world.product.differences(world.data, "max") == []
