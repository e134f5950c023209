from __future__ import annotations

from datetime import UTC, datetime
from textwrap import dedent

import pytest

from atom_backfill.errors import SkipItemError
from atom_backfill.mail.door import Limits
from atom_backfill.mail.message import Address, FolderId, Kind, Message, SourceId
from atom_backfill.mail.mime import read_mime

HEAD = b"From: Ines Halloran <ines@lumen.example>\nSubject: Gate\nDate: Mon, 2 Mar 2026 10:30:00 +0100\n"


def read(payload: bytes | str, limits: Limits | None = None) -> Message:
    if isinstance(payload, str):
        payload = dedent(payload).lstrip("\n").encode()
    return read_mime(payload, source_id=SourceId("s"), folder_id=FolderId("f"), limits=limits or Limits())


def test_a_plain_mail_is_read() -> None:
    message = read(
        """
        Received: from a by b; Mon, 2 Mar 2026 09:31:00 +0000
        From: "Halloran, Ines" <ines@lumen.example>
        To: Tomasz Reyl <tomasz@lumen.example>, mara@lumen.example (Mara Quill)
        Cc: Friends: bob@lumen.example, =?utf-8?q?Jos=C3=A9?= <jose@lumen.example>;
        Reply-To: desk@lumen.example
        Message-ID: <2@lumen.example>
        In-Reply-To: <1@lumen.example>
        Date: Mon, 2 Mar 2026 10:30:00 +0100
        Subject: =?iso-8859-1?q?Schl=FCssel?=
         fold

        The keys.
        """
    )
    assert message.from_ == Address("Halloran, Ines", "ines@lumen.example")
    assert message.to == (Address("Tomasz Reyl", "tomasz@lumen.example"), Address("Mara Quill", "mara@lumen.example"))
    assert message.cc == (Address("", "bob@lumen.example"), Address("José", "jose@lumen.example"))
    assert message.reply_to == (Address("", "desk@lumen.example"),)
    assert message.subject == "Schlüssel fold"
    assert message.sent_at == datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
    assert message.received_at == datetime(2026, 3, 2, 9, 31, tzinfo=UTC)
    assert message.references == ("<1@lumen.example>",)
    assert message.body == "The keys.\n"
    assert message.notes == ()


def test_of_alternatives_the_plain_one_is_taken_unless_it_is_a_stub() -> None:
    mail = """
        Content-Type: multipart/alternative; boundary="b"

        --b
        Content-Type: text/plain

        {plain}
        --b
        Content-Type: text/html

        <p>{html}</p>
        --b--
        """
    long = "The gate is locked at six and nobody has the key. " * 5
    assert read(mail.format(plain=long, html=long)).body.strip() == long.strip()
    for stub in ("", "This mail needs HTML."):
        message = read(mail.format(plain=stub, html=long))
        assert message.body_type == "html"
        assert long.strip() in message.body


def test_texts_in_a_row_are_joined_and_files_are_attachments() -> None:
    message = read(
        """
        Content-Type: multipart/mixed; boundary=b

        preamble
        --b

        One.
        --b
        Content-Type: application/pdf; name="plan.pdf"
        Content-Transfer-Encoding: base64
        Content-Disposition: attachment

        AAAA
        --b
        Content-Type: text/plain

        Two.
        --b
        Content-Type: text/plain; charset=utf-8
        Content-Disposition: attachment; filename*=utf-8''gr%C3%BC%C3%9Fe.txt

        Not in the body.
        --b
        Content-Type: message/rfc822

        Subject: inner

        Inner.
        --b--
        epilogue
        """
    )
    assert message.body == "One.\n\nTwo.\n"
    assert [(a.name, a.content_type) for a in message.attachments] == [
        ("plan.pdf", "application/pdf"),
        ("grüße.txt", "text/plain"),
        ("", "message/rfc822"),
    ]
    assert message.attachments[0].size in (3, 4)
    assert message.has_attachments


def mixed(*parts: tuple[str, str]) -> bytes:
    """A mail of parts that stand one after another."""
    written = "".join(f"--b\nContent-Type: {kind}\n\n{text}\n" for kind, text in parts)
    return HEAD + f"Content-Type: multipart/mixed; boundary=b\n\n{written}--b--\n".encode()


def inside(kind: str, *parts: tuple[str, str]) -> tuple[str, str]:
    """A part of parts."""
    written = "".join(f"--c\nContent-Type: {each}\n\n{text}\n" for each, text in parts)
    return f"multipart/{kind}; boundary=c", f"{written}--c--"


FOOTER = ("text/plain", "____\nharbour mailing list <harbour@lists.example.org>")
MARKUP = ("text/html", "<p>The gate is locked at six &amp; the key hangs in the shed.</p>")


def test_a_lists_footer_below_html_does_not_stand_for_the_mail() -> None:
    for part in (MARKUP, inside("alternative", ("text/plain", ""), MARKUP), inside("related", MARKUP)):
        message = read(mixed(part, FOOTER))
        assert message.body_type == "html"
        assert "the key hangs in the shed" in message.body
        assert "<pre>\n____\nharbour mailing list &lt;harbour@lists.example.org&gt;" in message.body


def test_html_after_a_plain_text_is_read_too() -> None:
    message = read(mixed(("text/plain", "Ines wrote this; see below."), MARKUP, ("text/plain", "And this.")))
    assert [message.body.index(words) for words in ("see below", "the shed", "And this")] == sorted(
        message.body.index(words) for words in ("see below", "the shed", "And this")
    )


def test_what_is_said_twice_without_being_declared_alternatives_is_read_once() -> None:
    message = read(mixed(("text/plain", "The gate is locked at six & the key hangs in the shed."), MARKUP))
    assert message.body.count("locked") == 1


def test_each_group_of_alternatives_is_chosen_from_by_itself() -> None:
    long = "The gate is locked at six and nobody has the key. " * 5
    both = inside("alternative", ("text/plain", long), ("text/html", f"<p>{long}</p>"))
    message = read(mixed(both, FOOTER))
    assert (message.body_type, message.body.count("nobody")) == ("text", 5)
    assert "harbour mailing list" in message.body


def test_a_text_of_an_unknown_kind_is_read_where_there_is_no_other() -> None:
    assert read(HEAD + b"Content-Type: text/enriched\n\nThe gate.").body == "The gate."
    assert read(mixed(("text/plain", "The gate."), ("text/x-patch", "+1"))).body.strip() == "The gate."


def test_a_picture_within_the_text_is_inline() -> None:
    message = read(
        """
        Content-Type: multipart/related; boundary=b

        --b
        Content-Type: text/html

        <p>Look <img src="cid:x"></p>
        --b
        Content-Type: image/png; name=logo.png
        Content-ID: <x>
        Content-Disposition: inline

        AAAA
        --b--
        """
    )
    assert message.attachments[0].inline
    assert not message.has_attachments


@pytest.mark.parametrize(
    ("headers", "body", "text"),
    [
        ("Content-Type: text/plain; charset=iso-8859-1", b"Gr\xfc\xdfe", "Grüße"),
        ("Content-Type: text/plain; charset=utf-8", "Grüße".encode(), "Grüße"),
        ("Content-Type: text/plain; charset=utf-8", b"Gr\xfc\xdfe", "Grüße"),
        ("Content-Type: text/plain; charset=iso-8859-1", "Grüße".encode(), "Grüße"),
        ("Content-Type: text/plain; charset=x-unheard-of", "Grüße".encode(), "Grüße"),
        ("Content-Type: text/plain; charset=punycode", b"Gr-fe", "Gr-fe"),
        ("Content-Type: text/plain", b"caf\xe9 \x93x\x94", "café “x”"),
        ("Content-Type: text/plain; charset=gb2312", "门锁了".encode("gb18030"), "门锁了"),
        ("Content-Type: text/plain; charset=iso-2022-jp", "門は".encode("iso2022_jp"), "門は"),
        ("Content-Type: text/plain; charset=ks_c_5601-1987", "문은".encode("cp949"), "문은"),
        ("Content-Transfer-Encoding: quoted-printable", b"Gr=C3=BC=\n=C3=9Fe =zz =", "Grüße =zz"),
        ("Content-Transfer-Encoding: base64", b"R3LDvMOfZQ", "Grüße"),
        ("Content-Transfer-Encoding: base64\nContent-Type: text/plain", b"%%%not base64%%%", None),
        ("Content-Transfer-Encoding: x-martian", b"words", "words"),
    ],
)
def test_text_is_decoded_by_what_it_is(headers: str, body: bytes, text: str | None) -> None:
    message = read(HEAD + headers.encode() + b"\n\n" + body)
    if text is not None:
        assert message.body.strip() == text


@pytest.mark.parametrize(
    ("raw", "subject"),
    [
        (b"=?utf-8?b?R3LDvMOf?= =?utf-8?b?ZQ==?=", "Grüße"),
        (b"=?utf-8?b?R3LD?= =?utf-8?b?vMOfZQ==?=", "Grüße"),
        (b"=?utf-8?q?a_b=?= tail", "a b tail"),
        (b"=?utf-8?b?!!!?=", ""),
        (b"=?no-such-charset?q?caf=C3=A9?=", "café"),
        (b"Gr\xfc\xdfe", "Grüße"),
        ("Grüße".encode(), "Grüße"),
        (b"=?utf-8?q?a=00=0D=0ABcc:_x?=", "a Bcc: x"),
        (b"=? broken ?= word", "=? broken ?= word"),
    ],
)
def test_subjects_with_encoded_or_raw_words_are_decoded(raw: bytes, subject: str) -> None:
    assert read(b"Subject: " + raw + b"\n\nx").subject == subject


def test_headers_with_rubbish_between_them_are_read() -> None:
    message = read(b"\n \r\n>From ines Mon Mar  2\nFrom: ines@lumen.example\nrubbish\nSubject: Gate\n\nThe gate.")
    assert (message.subject, message.body) == ("Gate", "The gate.")


def test_a_body_without_headers_is_a_body() -> None:
    assert read(b"just words\nand more").body == "just words\nand more"
    with pytest.raises(SkipItemError) as skipped:
        read(b" \n\n")
    assert (skipped.value.code, skipped.value.stage) == ("empty", "parse")


@pytest.mark.parametrize(
    "body",
    [
        b"Content-Type: multipart/mixed; boundary=never\n\nThe gate.",
        b"Content-Type: multipart/mixed\n\nThe gate.",
        b"Content-Type: multipart/mixed; boundary=d\n\n--other\nContent-Type: text/plain\n\nThe gate.\n--other--",
        b"Content-Type: multipart/mixed; boundary=b\n\n--b\n\nThe gate.",
        b"Content-Type: multipart/mixed; boundary*=undefined''x\n\nThe gate.",
        b"Content-Type: multipart/mixed; boundary*=a\x00b''x\n\nThe gate.",
        b"Content-Type: nonsense\n\nThe gate.",
        b'Content-Type: text/plain; charset="\n\nThe gate.',
    ],
)
def test_broken_structure_does_not_lose_the_text(body: bytes) -> None:
    assert read(HEAD + body).body.strip() == "The gate."


def test_dates_that_cannot_be_are_none_and_noted() -> None:
    message = read(b"Date: Thu, 99 Foo 2026\n\nx")
    assert (message.sent_at, message.received_at) == (None, None)
    assert "sent_date_unusable" in message.notes


def test_the_trace_is_believed_only_near_the_date() -> None:
    late = read(b"Received: by x; Mon, 2 Mar 2099 10:00:00 +0000\n" + HEAD + b"\nx")
    assert late.received_at == late.sent_at
    alone = read(b"Received: by x; Mon, 2 Mar 2026 10:00:00 +0000\n\nx")
    assert alone.received_at == datetime(2026, 3, 2, 10, tzinfo=UTC)


def test_a_delivery_report_and_an_invitation_are_recognised() -> None:
    report = (
        HEAD + b"Content-Type: multipart/report; report-type=delivery-status; boundary=b\n\n--b\n\nFailed.\n--b--\n"
    )
    invitation = HEAD + (
        b"Content-Type: multipart/alternative; boundary=b\n\n--b\n\nCome.\n"
        b"--b\nContent-Type: text/calendar; method=REQUEST\n\nBEGIN:VCALENDAR\n--b--\n"
    )
    assert read(report).kind is Kind.DELIVERY_REPORT
    assert read(invitation).kind is Kind.MEETING_REQUEST


@pytest.mark.parametrize(
    ("content_type", "note"),
    [
        ("application/pkcs7-mime; smime-type=enveloped-data; name=smime.p7m", "body_encrypted"),
        ("application/ms-tnef; name=winmail.dat", "body_in_winmail"),
        ("application/x-microsoft-rpmsg-message; name=message.rpmsg", "body_protected"),
    ],
)
def test_a_sealed_body_is_noted_not_read(content_type: str, note: str) -> None:
    message = read(HEAD + f"Content-Type: {content_type}\n\nMIIB".encode())
    assert message.body == ""
    assert note in message.notes


LIMITS = Limits(header_bytes=20_000, header_lines=50, mime_parts=20, mime_depth=5, recipients=10, references=7)


@pytest.mark.parametrize(
    ("payload", "note"),
    [
        (HEAD + b"To: " + b"a@lumen.example, " * 60_000 + b"\n\nx", "headers_truncated"),
        (HEAD + b"To: " + b"a@lumen.example, " * 100 + b"\n\nx", "recipients_truncated"),
        (HEAD + b"References: " + b"".join(b"<%d@x.test> " % n for n in range(500)) + b"\n\nx", "references_truncated"),
        (b"".join(b"X-%d: y\n" % n for n in range(5_000)) + b"\nx", "headers_truncated"),
        (HEAD + b"Content-Type: multipart/mixed; boundary=b\n\n" + b"--b\n\nx\n" * 1_000, "parts_truncated"),
        (
            HEAD + b"".join(b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (n, n) for n in range(500)),
            "parts_truncated",
        ),
        (HEAD + b"\n" + b"words " * 100_000, "body_truncated"),
    ],
    ids=["header", "recipients", "references", "fields", "parts", "depth", "body"],
)
def test_what_is_too_much_is_cut_and_noted(payload: bytes, note: str) -> None:
    message = read(payload, LIMITS)
    assert note in message.notes
    assert len(message.to) <= 10
    assert len(message.references) <= 7


def test_a_message_larger_than_the_limit_is_skipped() -> None:
    with pytest.raises(SkipItemError) as skipped:
        read(HEAD + b"\n" + b"x" * 1_000, Limits(message_bytes=500))
    assert skipped.value.code == "message_too_large"


def test_an_attachments_size_is_that_of_its_bytes_as_they_travel() -> None:
    message = read(mixed(("text/plain", "The chart."), ("application/pdf", "A" * 76 + "\n" + "QUJD" * 50)))
    assert (message.body.strip(), message.attachments[0].size) == ("The chart.", 278)


def test_delimiters_in_a_row_and_inside_lines_lose_no_part() -> None:
    message = read(
        HEAD + b"Content-Type: multipart/mixed; boundary=b\n\n--b\n--b\n\nSee --b here.\n--bc\n--b--\nepilogue"
    )
    assert message.body.strip() == "See --b here.\n--bc"
