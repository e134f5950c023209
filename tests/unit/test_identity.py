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
    assert identity.message_id(ACCOUNT, "AAMk=") == UUID("3025759d-6bbf-8d58-922e-309e490dc362")
    assert identity.thread_id(ACCOUNT, "c-1", "AAMk=") == UUID("22229eae-c13a-862f-be7d-54ec72355a2f")
    assert identity.failure_id(ACCOUNT, "AAMk=") == UUID("cb1bb5b7-aefe-8d2b-b6f1-a647c9d0cc9a")
    assert identity.chunk_id(ACCOUNT, "window", "inbox", "None") == UUID("4765eee3-58d7-86ea-8774-6b999020f66b")
    assert identity.content_hash("Subject", "Body") == "a5976dceca4188bfb5f171d3bc6c081b"


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


def test_what_a_message_shows_lies_beside_it_in_an_index() -> None:
    mail, other = identity.message_id(ACCOUNT, "m"), identity.message_id(ACCOUNT, "o")
    shown = {
        identity.entity_id(mail, "person", "ines@lumen.example", "from", None),
        identity.entity_id(mail, "person", "ines@lumen.example", "to", None),
        identity.entity_id(mail, "amount", "100", "content", 7),
        identity.evidence_id(mail, ACCOUNT, "from"),
        identity.evidence_id(mail, OTHER, "from"),
    }
    assert len(shown) == 5
    assert {made.bytes[:6] for made in shown} == {mail.bytes[:6]}
    assert {(made.version, made.variant) for made in shown} == {(8, "specified in RFC 4122")}
    elsewhere = identity.evidence_id(other, ACCOUNT, "from")
    assert elsewhere.bytes[6:] not in {made.bytes[6:] for made in shown}


@given(st.lists(st.text(), max_size=4), st.lists(st.text(), max_size=4))
def test_parts_cannot_run_into_each_other(some: list[str], others: list[str]) -> None:
    assert (identity.content_hash(*some) == identity.content_hash(*others)) == (some == others)


@given(st.text(st.characters()) | st.just("half \ud800 a letter"))
def test_any_source_id_has_an_id(source_id: str) -> None:
    made = identity.message_id(ACCOUNT, source_id)
    assert made == identity.message_id(ACCOUNT, source_id)
    assert (made.version, made.variant) == (8, "specified in RFC 4122")
