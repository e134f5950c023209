from __future__ import annotations

from uuid import UUID

from atom_backfill.mail.digest import Digest, Passage
from atom_backfill.mail.message import Address, Attachment, Message
from atom_backfill.memory.ports import PassageRow
from atom_backfill.memory.rows import embedded_text, generation_of, passage_id, rows_of
from builders import a_message

MESSAGE_ID = UUID(int=5)


def a_digest(message: Message, *texts: str) -> Digest:
    passages = tuple(Passage(seq, seq * 10, seq * 10 + len(text), text, f"h{seq}") for seq, text in enumerate(texts))
    return Digest(message, "\n".join(texts), 1, (), passages, ())


def rows(digest: Digest) -> list[PassageRow]:
    return rows_of(
        digest,
        message_id=MESSAGE_ID,
        account_id=UUID(int=1),
        thread_id="t",
        folder_ids=("AbC=", "Inbox"),
        fence=3,
        generation="g",
    )


def test_a_row_a_passage_in_order_with_ids_from_what_they_hold() -> None:
    made = rows(a_digest(a_message(subject="Re: Lease "), "first", "second"))
    assert [row.id for row in made] == [passage_id(MESSAGE_ID, "g", 0), passage_id(MESSAGE_ID, "g", 1)]
    assert [(row.text, row.start, row.end) for row in made] == [("first", 0, 5), ("second", 10, 16)]
    assert [row.subject for row in made] == ["Re: Lease"] * 2
    assert made[0].embedded == "Lease\nfirst"


def test_what_filters_compare_is_lower_case() -> None:
    message = a_message(
        from_=Address("Ines", "Ines@Lumen.example"),
        to=(Address("", "A@x.test"), Address("Nameless", "")),
        cc=(Address("", "B@x.test"), Address("again", "a@X.test")),
        bcc=(Address("", "c@x.test"),),
    )
    [row] = rows(a_digest(message, "text"))
    assert row.from_address == "ines@lumen.example"
    assert row.to_addresses == ("a@x.test", "b@x.test", "c@x.test")
    assert row.folder_ids == ("AbC=", "Inbox"), "ids of folders may differ in case alone"


def test_a_mail_without_new_text_is_remembered_by_its_subject() -> None:
    [row] = rows(a_digest(a_message(subject="Boiler")))
    assert (row.text, row.start, row.end, row.subject, row.embedded) == ("", 0, 0, "Boiler", "Boiler")


def test_a_mail_with_neither_text_nor_subject_is_remembered_by_its_header() -> None:
    [row] = rows(a_digest(a_message(subject="  ")))
    assert (row.text, row.embedded) == ("", "")
    assert row.header.startswith("Ines Halloran")


def test_equal_texts_share_a_hash_whatever_reply_marks_they_have() -> None:
    one, other = rows(a_digest(a_message(subject="RE: Fwd: AW: Lease"), "same", "other"))
    [again] = rows(a_digest(a_message(subject="Lease"), "same"))
    assert one.content_hash == again.content_hash != other.content_hash
    assert embedded_text("Re[2]: WG: Rest: of it", "") == "Rest: of it"


def test_the_header_holds_who_wrote_to_whom_and_which_files_came() -> None:
    message = a_message(
        from_=Address("Ines Halloran", "ines@lumen.example"),
        attachments=(Attachment("floor plan.pdf", "application/pdf", 10, inline=False),),
    )
    row, later = rows(a_digest(message, "text", "more"))
    assert later.header == "Ines Halloran ines@lumen.example"
    assert row.header == "Ines Halloran ines@lumen.example\nTomasz Reyl\nfloor plan.pdf"


def test_what_is_kept_is_bounded() -> None:
    crowd = tuple(Address(f"Person {n}", f"p{n}@x.test") for n in range(500))
    [row] = rows(a_digest(a_message(subject="s" * 10_000, to=crowd), "text"))
    assert (len(row.subject), len(row.header), len(row.to_addresses)) == (400, 400, 500)


def test_a_mail_without_sender_or_date_makes_rows() -> None:
    [row] = rows(a_digest(a_message(from_=None, received_at=None), "text"))
    assert (row.from_address, row.received_at) == ("", None)


def test_a_generation_changes_with_cleaner_embedder_and_content() -> None:
    base = generation_of("c1", "e1", "h1")
    assert base == generation_of("c1", "e1", "h1")
    assert (
        len({base, generation_of("c2", "e1", "h1"), generation_of("c1", "e2", "h1"), generation_of("c1", "e1", "h2")})
        == 4
    )
