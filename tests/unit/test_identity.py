"""Ids follow from what they name, and from nothing else."""

from __future__ import annotations

import subprocess
import sys
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from atom_backfill import identity

ACCOUNT, OTHER = UUID(int=1), UUID(int=2)


def test_ids_are_the_same_on_every_machine_and_in_every_release() -> None:
    """Changing any of these gives every message of every user a second copy."""
    assert identity.message_id(ACCOUNT, "AAMk=") == UUID("7dee9b8a-b063-8b07-9187-8964ea7aa39a")
    assert identity.thread_id(ACCOUNT, "c-1", "AAMk=") == UUID("ee7991da-22b4-828c-b4f7-ee45bd67b486")
    assert identity.failure_id(ACCOUNT, "AAMk=") == UUID("11e5fe7d-1f8c-8cab-9ab7-1a24017ebb80")
    assert identity.chunk_id(ACCOUNT, "window", "inbox", "None") == UUID("3e4b32a5-4ec6-8601-80c4-ccce3ea8ac7d")
    assert identity.content_hash("Subject", "Body") == "d6a0e96ca2e3af5d2b174ca35c99ba9c"


def test_ids_do_not_depend_on_the_process() -> None:
    ask = (
        "from atom_backfill.identity import node_id; from uuid import UUID; print(node_id(UUID(int=1), 'person', 'a'))"
    )
    told = {
        subprocess.run(
            [sys.executable, "-c", ask], env={"PYTHONHASHSEED": seed}, check=True, capture_output=True, text=True
        ).stdout.strip()
        for seed in ("1", "2")
    }
    assert told == {str(identity.node_id(ACCOUNT, "person", "a"))}


def test_the_same_source_id_in_two_accounts_is_two_messages() -> None:
    assert identity.message_id(ACCOUNT, "m") != identity.message_id(OTHER, "m")
    assert identity.failure_id(ACCOUNT, "m") != identity.message_id(ACCOUNT, "m")


def test_a_message_without_a_conversation_is_a_thread_of_its_own() -> None:
    first, second = identity.thread_id(ACCOUNT, "", "m-1"), identity.thread_id(ACCOUNT, "", "m-2")
    assert first != second
    assert identity.thread_id(ACCOUNT, "c", "m-1") == identity.thread_id(ACCOUNT, "c", "m-2")
    assert identity.thread_id(ACCOUNT, "m-1", "x") != first, "a conversation named like a message is not its thread"


@given(st.lists(st.text(), max_size=4), st.lists(st.text(), max_size=4))
def test_parts_cannot_run_into_each_other(some: list[str], others: list[str]) -> None:
    assert (identity.content_hash(*some) == identity.content_hash(*others)) == (some == others)


@given(st.text(st.characters()) | st.just("half \ud800 a letter"))
def test_any_source_id_has_an_id(source_id: str) -> None:
    made = identity.message_id(ACCOUNT, source_id)
    assert made == identity.message_id(ACCOUNT, source_id)
    assert (made.version, made.variant) == (8, "specified in RFC 4122")
