"""What files are, and where the messages in an mbox begin and end."""

from __future__ import annotations

import hashlib
import io
import mailbox
import tempfile
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from atom_backfill.mail.door import Limits
from atom_backfill.mail.message import FolderId, SourceId
from atom_backfill.mail.mime import read_mime
from atom_backfill.sources.mbox.formats import FileKind, describe, is_dated, recognise
from atom_backfill.sources.mbox.scan import Entry, read_bytes, received_at, scan
from atom_backfill.sources.mbox.view import FileView

FROM = b"From tomasz@example.org Mon Mar  2 09:30:00 2026\n"
HEAD = b"From: Tomasz Reyl <tomasz@example.org>\nSubject: Lease\nDate: Mon, 2 Mar 2026 09:30:00 +0000\n\n"


def view(data: bytes, ahead: int = 1 << 20) -> FileView:
    return FileView(io.BytesIO(data), ahead=ahead)


def entries(data: bytes, kind: FileKind = FileKind.MBOX) -> list[Entry]:
    return list(scan(view(data), kind))


def messages(data: bytes, kind: FileKind = FileKind.MBOX) -> list[bytes]:
    found = []
    for entry in entries(data, kind):
        payload = read_bytes(view(data, ahead=0), entry.start, entry.length, quoted=entry.quoted)
        assert hashlib.sha256(payload).digest() == entry.digest, "what is read later is what was hashed"
        assert len(payload) == entry.size
        found.append(payload)
    return found


KINDS = [
    (FROM + HEAD, "mail", FileKind.MBOX),
    (FROM + HEAD, "mail.txt", FileKind.MBOX),
    (b"\xef\xbb\xbf\r\n" + FROM + HEAD, "mail.mbox", FileKind.MBOX),
    (b"From - Mon Mar 02 09:30:00 2026\r\nX-Mozilla-Status: 0001\r\n", "Inbox", FileKind.MBOX),
    (b"From 1715@xxx Mon Mar 02 09:30:00 +0000 2026\nX-GM-THRID: 1\n", "All mail.mbox", FileKind.MBOX),
    (b"garbage\n\n" + FROM + HEAD, "mail.mbox", FileKind.MBOX),
    (HEAD, "1", FileKind.EML),
    (HEAD, "a.msg", FileKind.EML),
    (HEAD.replace(b"\n", b"\r\n"), "a", FileKind.EML),
    (b"anything at all", "a.eml", FileKind.EML),
    (b"", "a.eml", FileKind.EML),
    (FROM + HEAD, "a.eml", FileKind.EML),
    (b"From the desk of Ines\n\nDear all", "letter.txt", FileKind.OTHER),
    (b"title: A page\ndate: 2026-03-02\n\nText", "page.md", FileKind.OTHER),
    (b"Date: today\nweather: fine\n\nText", "diary", FileKind.OTHER),
    (b"", "empty", FileKind.OTHER),
    (b"!BDN\x00\x00", "archive.pst", FileKind.OTHER),
    (b"\x00" * 100, "zeros", FileKind.OTHER),
    (b'// <!-- <mdb:mork:z v="1.4"/> -->\n', "Inbox.msf", FileKind.OTHER),
    (b"3 V1700000000 N2 G0\n1 :file\n", "dovecot-uidlist", FileKind.OTHER),
]


@pytest.mark.parametrize(("head", "name", "kind"), KINDS)
def test_a_file_is_known_by_its_first_bytes(head: bytes, name: str, kind: FileKind) -> None:
    assert recognise(head, name) is kind


@pytest.mark.parametrize(
    ("head", "name", "words"),
    [
        (b"!BDN\x00", "a.pst", "Outlook data file"),
        (b"PK\x03\x04", "a.olm", "unpack"),
        (b"\x1f\x8b\x08", "a.mbox.gz", "unpack"),
        (b"\xd0\xcf\x11\xe0", "a.msg", ".eml"),
        (b"%PDF-1.7", "a.pdf", "PDF"),
        (b"SQLite format 3\x00", "a.db", "SQLite"),
        (b"", "a", "empty"),
        (b"\x00\x00\n", "a", "empty"),
        (b"\x01\x02abc", "a", "binary"),
        (b"hello", "notes.txt", ".txt"),
        (b"hello", "no-extension", "text"),
        (b"hello", "weird.\x1b[31m", "text"),
    ],
)
def test_what_is_no_mail_is_named_for_the_person_who_chose_it(head: bytes, name: str, words: str) -> None:
    assert words in describe(head, name)
    assert "\x1b" not in describe(head, name)


@given(st.binary(max_size=300), st.text(max_size=20))
def test_no_bytes_and_no_name_make_recognising_fail(head: bytes, name: str) -> None:
    assert recognise(head, name) in FileKind
    assert describe(head, name)


@pytest.mark.parametrize(
    "line",
    [
        b"From tomasz@example.org Mon Mar  2 09:30:00 2026",
        b"From tomasz@example.org Mon Mar 02 09:30 2026",
        b"From - Mon Mar 02 09:30:00 2026",
        b"From MAILER-DAEMON Mon Mar  2 09:30:00 2026 +0100",
        b"From tomasz@example.org Mon Mar  2 09:30:00 CET 2026",
        b"From tomasz@example.org  Mon, 2 Mar 2026 09:30:00 +0000",
        b"From uucp Mon Mar  2 09:30:00 2026 remote from example",
        b"From 1715@xxx Mon Mar 02 09:30:00 +0000 2026",
    ],
)
def test_the_dates_of_delivery_agents_are_known(line: bytes) -> None:
    assert is_dated(line)


@pytest.mark.parametrize(
    "line", [b"From the beginning of 2026 on", b"From Monday to Friday", b"From ", b"From " + b"Mon " * 5000]
)
def test_prose_is_no_date(line: bytes) -> None:
    assert not is_dated(line)


def test_messages_end_before_the_next_and_the_blank_line_between_belongs_to_none() -> None:
    one, two, three = HEAD + b"one\n", HEAD + b"two\n\n", HEAD + b"three"
    data = b"".join(FROM + message + b"\n" for message in (one, two)) + FROM + three
    assert messages(data) == [one, two, three]


def test_a_mail_has_one_hash_in_an_mbox_in_a_maildir_and_as_a_file() -> None:
    mail = HEAD + b"From here on it is signed.\n>From the start.\nEnd.\n"
    quoted = mail.replace(b"\n>From", b"\n>>From").replace(b"\nFrom here", b"\n>From here")
    [in_mbox] = entries(FROM + quoted + b"\n")
    [as_file] = entries(mail, FileKind.EML)
    [with_envelope] = entries(FROM + mail, FileKind.EML)
    assert in_mbox.digest == as_file.digest == with_envelope.digest == hashlib.sha256(mail).digest()


def test_carriage_returns_are_kept_and_do_not_hide_separators() -> None:
    one, two = HEAD.replace(b"\n", b"\r\n") + b"one\r\n", HEAD.replace(b"\n", b"\r\n") + b"two\r\n"
    envelope = FROM.replace(b"\n", b"\r\n")
    assert messages(envelope + one + b"\r\n" + envelope + two + b"\r\n") == [one, two]


def test_prose_that_begins_with_from_does_not_cut_a_message() -> None:
    mail = HEAD + b"Hello,\n\nFrom the beginning of 2004 we said so.\n\nFrom: is not a separator\n\nFrom now on.\n"
    assert messages(FROM + mail + b"\n" + FROM + HEAD) == [mail, HEAD.removesuffix(b"\n")]


def test_a_missing_blank_line_does_not_join_two_messages() -> None:
    assert messages(FROM + HEAD + b"one\n" + FROM + HEAD + b"two\n") == [HEAD + b"one\n", HEAD + b"two\n"]


def test_a_forwarded_envelope_in_a_body_does_not_cut_it() -> None:
    """A dated line counts only after a blank line or before a header."""
    mail = HEAD + b"He wrote:\n" + FROM + b"and that was all\n"
    assert messages(FROM + mail) == [mail]


@pytest.mark.parametrize("quoting", [b"", b">"])
def test_a_content_length_that_leads_to_the_next_message_is_believed(quoting: bytes) -> None:
    body = b"Text.\n\n" + quoting + FROM + b"Subject: inside\n\nmore\n"
    mail = HEAD.replace(b"\n\n", b"\nContent-Length: %d\n\n" % len(body)) + body
    unquoted = mail.replace(b"\n>From", b"\nFrom")
    assert messages(FROM + mail + b"\n" + FROM + HEAD + b"two\n") == [unquoted, HEAD + b"two\n"]
    assert messages(FROM + mail) == [unquoted]


@pytest.mark.parametrize("length", [0, 1, 3, 10**6, 10**11])
def test_a_content_length_that_lies_is_not_believed(length: int) -> None:
    mail = HEAD.replace(b"\n\n", b"\nContent-Length: %d\n\n" % length) + b"Four words of text.\n"
    assert messages(FROM + mail + b"\n" + FROM + HEAD + b"two\n") == [mail, HEAD + b"two\n"]


def test_a_content_length_in_the_body_is_text() -> None:
    mail = HEAD + b"Content-Length: 5\n\nFour words of text.\n"
    assert messages(FROM + mail + b"\n" + FROM + HEAD + b"two\n") == [mail, HEAD + b"two\n"]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n\n\n",
        b"\x00" * 5000,
        FROM,
        FROM.strip(),
        FROM * 3,
        b"From " + b"x" * 100_000,
        FROM + b"\x00" * 100_000 + b"\n\n" + FROM + HEAD,
        FROM + b"Subject: " + b"x" * 1_000_000 + b"\n\nbody\n",
        FROM + b">" * 100_000 + b"From \n",
        b"garbage before\n\n" + FROM + HEAD,
        b"\xef\xbb\xbf" + FROM + HEAD,
    ],
    ids=lambda data: f"{len(data)} bytes",
)
def test_malformed_files_are_read_to_their_end(data: bytes) -> None:
    found = entries(data)
    assert all(0 <= entry.start <= entry.start + entry.length <= len(data) for entry in found)
    assert [entry.next_start for entry in found] == sorted({entry.next_start for entry in found})
    assert not found or found[-1].next_start == len(data)
    messages(data)


def test_what_stands_before_the_first_separator_is_not_lost() -> None:
    assert messages(b"\nSubject: headless\n\ntext\n\n" + FROM + HEAD + b"two\n") == [
        b"Subject: headless\n\ntext\n",
        HEAD + b"two\n",
    ]


def test_scanning_goes_on_where_it_stopped() -> None:
    data = b"".join(FROM + HEAD + b"body %d\n\n" % n for n in range(10))
    whole = entries(data)
    for stop in range(1, 10):
        assert list(scan(view(data), FileKind.MBOX, whole[stop - 1].next_start)) == whole[stop:]


def test_a_message_longer_than_any_block_is_hashed_and_unquoted_in_pieces() -> None:
    line = b"From here to there.\n" + b"x" * 77 + b"\n"
    mail = HEAD + line * 40_000
    assert len(mail) > 3 * (1 << 20)
    data = FROM + mail.replace(b"\nFrom ", b"\n>From ") + b"\n" + FROM + HEAD + b"two\n"
    assert messages(data) == [mail, HEAD + b"two\n"]


pieces = st.sampled_from(
    [FROM, FROM.replace(b"\n", b"\r\n"), HEAD, b"\n", b"\r\n", b"From ", b">From x\n", b"text\n", b"\x00", b"a: b\n"]
)


@given(st.lists(pieces, max_size=12))
@example([FROM, b"\n", FROM])
def test_any_mixture_of_lines_is_cut_without_loss_or_overlap(lines: list[bytes]) -> None:
    data = b"".join(lines)
    found = entries(data)
    for before, after in pairwise(found):
        assert before.start + before.length <= before.next_start <= after.start
    messages(data)
    covered = sum(entry.length for entry in found)
    assert covered + len(FROM.replace(b"\n", b"\r\n")) * len(lines) + 8 >= len(data) - data.count(b"From ") * 2


@given(st.lists(st.text(alphabet="ab\n F", max_size=60).map(lambda t: t.replace("F", "From ")), min_size=1, max_size=6))
@settings(max_examples=40)
def test_what_pythons_mailbox_writes_is_read_back(bodies: list[str]) -> None:
    """Its mboxo quotes `From ` and not `>From `, so a body with the latter cannot be told from one with the former."""
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "written.mbox"
        box = mailbox.mbox(path)
        for number, body in enumerate(bodies):
            message = mailbox.mboxMessage(f"From: tomasz@example.org\nSubject: {number}\n\n{body}\n")
            message.set_from("tomasz@example.org", (2026, 3, 2, 9, 30, 0, 0, 61, 0))
            box.add(message)
        box.close()
        found = messages(path.read_bytes())
    assert len(found) == len(bodies)
    for number, (payload, body) in enumerate(zip(found, bodies, strict=True)):
        head, _, text = payload.partition(b"\n\n")
        assert head.endswith(b"Subject: %d" % number)
        assert text.decode().rstrip("\n") == body.rstrip("\n")


HEADERS = [
    b"Date: Mon, 2 Mar 2026 09:30:00 +0000\n",
    b"Received: from a by b; Mon, 2 Mar 2026 09:31:00 +0000\nReceived: from c; Mon, 2 Mar 2026 08:00:00 +0000\n"
    b"Date: Mon, 2 Mar 2026 09:30:00 +0100\n",
    b"Received: from a\n\tby b;\n\tMon, 2 Mar 2026 09:31:00 +0000\nDate: Mon, 2 Mar 2026 09:30:00 +0000\n",
    b"Received: from a; Mon, 2 Mar 2020 09:31:00 +0000\nDate: Mon, 2 Mar 2026 09:30:00 +0000\n",
    b"Received: from a; Mon, 2 Mar 2026 09:31:00 +0000\n",
    b"Received: nothing\nDate: nonsense\n",
    b"Date: Mon, 2 Mar 1901 09:30:00 +0000\n",
    b"Date: Mon, 31 Feb 2026 09:30:00 +0000\n",
    b"Date: 2 Mar 26 09:30 GMT\n",
    b"Date: " + b"x" * 100_000 + b"\nSubject: y\n",
    b"Subject: " + b"y" * 300_000 + b"\nDate: Mon, 2 Mar 2026 09:30:00 +0000\n",
    b"stray line\nDate: Mon, 2 Mar 2026 09:30:00 +0000\n",
    b"DATE : Mon, 2 Mar 2026 09:30:00 -0000 (GMT)\n",
    b"Date: Fri, 31 Dec 9999 23:59:59 -1200\n",
]


@pytest.mark.parametrize("header", HEADERS, ids=range(len(HEADERS)))
def test_the_index_dates_a_message_as_reading_it_does(header: bytes) -> None:
    mail = b"From: tomasz@example.org\n" + header + b"\nText\n"
    [entry] = entries(mail, FileKind.EML)
    read = read_mime(mail, source_id=SourceId("x"), folder_id=FolderId("y"), limits=Limits())
    if len(header) < 65_000:
        assert entry.received_at == read.received_at
    assert received_at(mail) == entry.received_at


header_lines = st.sampled_from(
    [
        b"Date: Mon, 2 Mar 2026 09:30:00 +0000\n",
        b"date : Tue, 3 Mar 2026 09:30:00 +0000\n",
        b"Date:\n Mon, 2 Mar 2026\n\t09:30:00 +0100\r\n",
        b"Received: from a; Mon, 2 Mar 2026 10:30:00 +0000\n",
        b"Received: from a\n by b;\n Mon, 2 Mar 2026 11:30:00 +0000\n",
        b"X-Date: Mon, 2 Mar 2020 09:30:00 +0000\n",
        b"Subject: Date: yesterday\n",
        b"stray\n",
        b"Date: nonsense\n",
        b" \t\n",
        b"\n",
    ]
)


@given(st.lists(header_lines, max_size=8).map(b"".join))
def test_a_header_is_dated_in_the_index_as_in_the_message_however_it_is_put_together(header: bytes) -> None:
    payload = b"From: tomasz@example.org\n" + header + b"\nText\n"
    [entry] = entries(payload, FileKind.EML)
    read = read_mime(payload, source_id=SourceId("x"), folder_id=FolderId("y"), limits=Limits())
    assert entry.received_at == read.received_at


def test_a_date_is_read_in_utc() -> None:
    assert received_at(b"Date: Mon, 2 Mar 2026 09:30:00 +0530\n\n") == datetime(2026, 3, 2, 4, 0, tzinfo=UTC)


@given(st.binary(max_size=200))
def test_no_header_makes_dating_fail(header: bytes) -> None:
    received_at(b"Date: " + header + b"\n\n")
    received_at(header)


@given(st.binary(min_size=1, max_size=3000), st.data())
def test_a_view_shows_the_files_bytes_whatever_is_asked_in_which_order(data: bytes, draw: st.DataObject) -> None:
    shown = view(data, ahead=64)
    for _ in range(10):
        start, length = draw.draw(st.integers(0, 3100)), draw.draw(st.integers(0, 500))
        assert shown.at(start, length) == data[start : start + length]
        what = data[start : start + 3] or b"zz"
        end = draw.draw(st.integers(0, 3100))
        assert shown.find(what, length, end) == data.find(what, length, min(end, len(data)))
