"""The simulator's own parts where a request would be a long way round: dates, ids, data files, switches."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atom_simulators.graph import dates, ids
from atom_simulators.graph.bodies import in_type
from atom_simulators.graph.data import DataError, read_mailboxes
from atom_simulators.graph.folders import FolderTree, parse_folders
from atom_simulators.graph.generated import generated_mailbox
from atom_simulators.graph.quirks import Quirks, QuirksError, read_quirks, with_quirks
from atom_simulators.graph.wire import preferences
from graph_simulator import a_folder, a_graph_message, a_mailbox, folder_id, message_id, write_data


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T01:00:01.999+01:00", 1),
        ("1969-12-31T19:00:00-05:00", 0),
        ("0001-01-01T00:00:00Z", -62_135_596_800),
        ("9999-12-31T23:59:59Z", 253_402_300_799),
        ("1970-01-01T00:00Z", 0),
        ("1970-01-01T00:00:00", None),
        ("1970-01-01", None),
        ("2024-02-30T00:00:00Z", None),
        ("2016-12-31T23:59:60Z", None),
        ("", None),
        (None, None),
        (5, None),
    ],
)
def test_a_date_is_seconds_or_nothing(text: object, expected: int | None) -> None:
    assert dates.seconds(text) == expected


@given(st.integers(-62_135_596_800, 253_402_300_799))
def test_a_date_comes_back_as_it_went(moment: int) -> None:
    assert dates.seconds(dates.text(moment)) == moment


@given(st.integers(0, 2**40), st.text(max_size=150), st.integers(0, 99))
def test_a_derived_id_leads_back_to_its_place(ordinal: int, folder: str, moves: int) -> None:
    derived = ids.rest_id("ines", ordinal, folder, moves)
    assert ids.ordinal_of("ines", derived) == ordinal
    assert ids.ordinal_of("tomasz", derived) is None
    assert derived != ids.rest_id("ines", ordinal, folder, moves + 1)
    assert ids.looks_like_an_id(derived)
    assert len(derived) == 152


@given(st.binary(max_size=200))
def test_a_word_that_was_not_sealed_here_says_nothing(raw: bytes) -> None:
    word = raw.decode("latin-1")
    assert ids.unseal("access", word) is None


def test_a_sealed_word_opens_for_its_kind_alone() -> None:
    word = ids.seal("access", ["ines", 1])
    assert ids.unseal("access", word) == ["ines", 1]
    assert ids.unseal("refresh", word) is None
    assert ids.unseal("access", word[:-2] + ("AA" if word[-2:] != "AA" else "BB")) is None


def test_user_ids_are_stable_and_have_no_case() -> None:
    assert ids.user_guid("Ines") == ids.user_guid("ines") != ids.user_guid("tomasz")


def test_the_last_of_several_lines_with_one_id_counts() -> None:
    box = a_mailbox(messages=[a_graph_message(1), a_graph_message(2), a_graph_message(1, subject="Later 1")])
    assert len(box.messages()) == 2
    found = box.find(message_id(1))
    assert found is not None
    assert found.parsed()["subject"] == "Later 1"


def test_a_message_without_a_folder_lies_in_the_inbox() -> None:
    lost = [a_graph_message(1, parentFolderId="elsewhere"), a_graph_message(2, parentFolderId=None)]
    assert len(a_mailbox(messages=lost).messages(folder_id("Inbox"))) == 2


def test_messages_of_one_second_keep_an_order() -> None:
    same = [a_graph_message(n, receivedDateTime="2024-01-01T00:00:00Z") for n in range(5)]
    box = a_mailbox(messages=same)
    found = [entry.ordinal for entry in box.between(folder_id("Inbox"), 1_704_067_200, 1_704_067_201)]
    assert found == [0, 1, 2, 3, 4]


def test_the_root_is_made_where_the_file_has_none() -> None:
    tree = FolderTree("ines", parse_folders([a_folder("Inbox"), a_folder("Sub", parent="Inbox")]))
    assert tree.root.id == folder_id("msgfolderroot")
    assert [folder.name for folder in tree.children(tree.root, hidden=False)] == ["Inbox"]
    assert [folder.name for folder in tree.below(tree.root)] == ["Top of Information Store", "Inbox", "Sub"]
    assert FolderTree("ines", []).fallback.name == "Top of Information Store"


def test_a_generated_mailbox_is_the_same_each_time() -> None:
    one, two = generated_mailbox("big", 500), generated_mailbox("big", 500)
    assert [entry.raw for entry in one.messages()] == [entry.raw for entry in two.messages()]
    assert len(one.messages()) == 500
    assert len({entry.folder for entry in one.messages()}) == 6


@pytest.mark.parametrize(
    ("file", "content", "sentence"),
    [
        ("ines.folders.json", None, "ines.folders.json: is missing"),
        ("ines.folders.json", b"{", "ines.folders.json: is not JSON"),
        ("ines.folders.json", b"5", "must hold a list of folders"),
        ("ines.folders.json", b"[{}]", "folder 1 is not an object with an id"),
        ("ines.jsonl.gz", b"plain", "ines.jsonl.gz: cannot be unpacked"),
        ("ines.jsonl.gz", gzip.compress(b"{}\n", mtime=0), "line 1 is not a message with an id"),
        ("ines.jsonl.gz", gzip.compress(b"\n{,\n", mtime=0), "line 2 is not JSON"),
        ("ines.jsonl.gz", None, "holds no mailbox"),
    ],
)
def test_bad_data_is_named(tmp_path: Path, file: str, content: bytes | None, sentence: str) -> None:
    write_data(tmp_path, "ines", [a_graph_message(1)])
    assert list(read_mailboxes(tmp_path)) == ["ines"]
    place = tmp_path / "mailboxes" / file
    if content is None:
        place.unlink()
    else:
        place.write_bytes(content)
    with pytest.raises(DataError) as caught:
        read_mailboxes(tmp_path)
    assert sentence in str(caught.value)


def test_switches_are_read_over_each_other(tmp_path: Path) -> None:
    path = tmp_path / "quirks.json"
    path.write_text(json.dumps({"count_bom": True, "app_roles": ["Mail.ReadBasic.All"], "throttle_retry_after": None}))
    found = read_quirks(path, Quirks(short_pages=3))
    assert (found.count_bom, found.app_roles, found.throttle_retry_after) == (True, ("Mail.ReadBasic.All",), None)
    assert found.short_pages == 3


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"colour": 1}, 'there is no switch "colour"; there are default_order'),
        ({"default_order": "upwards"}, 'switch "default_order" must be one of newest, oldest, scattered'),
        ({"count_bom": 1}, 'switch "count_bom" must be true or false'),
        ({"short_pages": True}, 'switch "short_pages" must be a whole number'),
        ({"tenants": "one"}, 'switch "tenants" must be a list of names'),
        ({"count_off_by": {"inbox": "5"}}, 'switch "count_off_by" must be an object of whole numbers'),
    ],
)
def test_a_wrong_switch_is_answered_by_a_sentence(values: dict[str, object], sentence: str) -> None:
    with pytest.raises(QuirksError) as caught:
        with_quirks(Quirks(), values)
    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    ("text", "sentence"), [("[", "is not JSON"), ("[]", "must be a JSON object"), (None, "cannot be read")]
)
def test_a_switch_file_that_is_none_is_named(tmp_path: Path, text: str | None, sentence: str) -> None:
    path = tmp_path / "quirks.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(QuirksError, match=sentence):
        read_quirks(path, Quirks())


@pytest.mark.parametrize(
    ("header", "applied"),
    [
        ("", ""),
        ('IdType="ImmutableId"', "IdType=ImmutableId"),
        ("odata.maxpagesize=50, respond-async", "odata.maxpagesize=50"),
        ("odata.maxpagesize=many", ""),
        ('outlook.body-content-type="TEXT"', 'outlook.body-content-type="text"'),
        ('outlook.body-content-type="rtf", outlook.timezone="UTC"', ""),
        ('idtype=immutableid,outlook.body-content-type="html"', 'outlook.body-content-type="html", IdType=ImmutableId'),
    ],
)
def test_preferences_that_are_known_are_applied(header: str, applied: str) -> None:
    assert preferences(header).applied() == applied


@pytest.mark.parametrize("body", [None, "text", {"contentType": "html"}, {"contentType": "html", "content": None}])
def test_what_is_no_body_stays_as_it_is(body: object) -> None:
    assert in_type(body, "text") == body
