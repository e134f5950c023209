"""The truth beside the sample: quotes that occur, decisions that were reversed, searches with answers."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from atom_backfill.mail.clean import clean
from atom_backfill.mail.digest import SegmentKind
from atom_backfill.mail.door import Limits
from atom_backfill.sources.outlook.parse import read_graph
from atom_simulators.facts import ENDS, ENTITY_TYPES, SINGLE_VALUED, Stated, as_json, folded, read_facts
from atom_simulators.sample import truth
from atom_simulators.sample.cast import load_cast
from atom_simulators.sample.story import parse_story

from .conftest import Message

PlainText = Callable[[Message], str]


def test_every_quote_occurs_in_its_mail(mailbox: Sequence[Message], plain_text: PlainText) -> None:
    known = truth()
    by_id = {message["id"]: message for message in mailbox}
    for stated in known.stated:
        text = folded(plain_text(by_id[known.source_ids[stated.mail]]))
        for fact in (*stated.entities, *stated.relations):
            assert folded(fact.quote) in text, fact


def test_no_quote_is_lost_where_the_product_cuts_history_and_signatures(mailbox: Sequence[Message]) -> None:
    known = truth()
    by_id = {message["id"]: message for message in mailbox}
    for stated in known.stated:
        if stated.entities or stated.relations:
            payload = json.dumps(by_id[known.source_ids[stated.mail]]).encode()
            digest = clean(read_graph(payload, limits=Limits()), Limits())
            new = [digest.text[part.start : part.end] for part in digest.segments if part.kind is SegmentKind.NEW]
            text = folded("\n".join(new))
            assert [f.quote for f in (*stated.entities, *stated.relations) if folded(f.quote) not in text] == []


def test_there_are_several_hundred_facts_in_many_mails() -> None:
    stated = truth().stated
    assert sum(len(mail.entities) for mail in stated) >= 500
    assert sum(len(mail.relations) for mail in stated) >= 300
    assert sum(bool(mail.entities or mail.relations) for mail in stated) >= 250


def test_no_mail_is_too_short_to_be_read() -> None:
    assert [m.mail for m in truth().stated if (m.entities or m.relations) and len(m.text) < 60] == []


def test_every_type_and_nearly_every_relation_occurs() -> None:
    stated = truth().stated
    assert {entity.type for mail in stated for entity in mail.entities} == {*ENTITY_TYPES}
    relations = Counter(relation.type for mail in stated for relation in mail.relations)
    assert {*relations} >= {*ENDS} - {"member_of"}
    assert all(relations[each] >= 10 for each in ("works_for", "has_title", "committed_to", "decided", "requested"))


def test_facts_that_can_hold_only_once_change_over_time() -> None:
    changes: dict[tuple[str, str], list[str]] = {}
    for stated in truth().stated:
        for relation in stated.relations:
            if relation.type in SINGLE_VALUED and relation.type != "located_in":
                changes.setdefault((who(stated, relation.source), relation.type), []).append(
                    who(stated, relation.target)
                )
    assert changes["pim.hadley@ostrel.example", "has_title"] == ["Engineering Intern", "Support Engineer"]
    assert changes["callum.drayforth@ostrel.example", "works_for"] == ["Tasman Ferries", "Ostrel Instruments"]
    assert sum(len({*values}) > 1 for values in changes.values()) >= 8


def test_one_person_goes_by_several_names() -> None:
    names: dict[str, set[str]] = {}
    for stated in truth().stated:
        for entity in stated.entities:
            if entity.type == "person" and "@" in entity.who:
                names.setdefault(entity.who, set()).add(entity.name)
    assert {"Bea", "Beatriz"} <= names["beatriz.quintela@ostrel.example"]
    assert {"Mr Craske", "Edwin Craske", "Edwin"} <= names["e.craske@hallowbay.example"]
    assert sum(len(known) > 1 for known in names.values()) >= 6


def test_what_was_reversed_was_decided_before() -> None:
    stories: dict[str, list[str]] = {}
    for stated in truth().stated:
        stories.setdefault(stated.mail.partition("/")[0], []).extend(relation.type for relation in stated.relations)
    reversing = [kinds for kinds in stories.values() if "reversed" in kinds]
    assert len(reversing) >= 8
    assert all("decided" in kinds[: kinds.index("reversed")] for kinds in reversing)


def test_the_truth_is_a_file_of_facts(tmp_path: Path) -> None:
    file = tmp_path / "truth.json"
    file.write_text(json.dumps(as_json(truth().stated), ensure_ascii=False), "utf-8")
    assert read_facts(file) == truth().stated


@pytest.mark.parametrize(
    ("note", "fault"),
    [
        ("= @edwin | owns | product:boat | Three boats are gone", "does not occur in the mail"),
        ("+ product:ship | Three boats", "does not occur in 'Three boats'"),
        ("+ vessel:boats | Three boats", "is no entity"),
        ("= @joost | owns | product:boats | Three boats", "not in the mail's headers"),
        ("= product:boats | works_for | @edwin | Three boats", "has no end of type product"),
        ("= @edwin | sells | product:boats | Three boats", "is no relation"),
        ("+ place:quay | boats at the quay and one two three four five six seven eight nine", "more than 12 words"),
    ],
)
def test_a_note_that_no_reader_could_find_is_refused(note: str, fault: str) -> None:
    text = "Three boats at the quay and one two three four five six seven eight nine."
    with pytest.raises(ValueError, match=fault):
        parse_story("s", f"{HEAD}@ a | 2024-01-02 08:00 | edwin > maren | Boats\n{note}\n\n{text}\n", load_cast())


def who(stated: Stated, end: int | str) -> str:
    """Whom or what an end names: an address where it is known."""
    return end if isinstance(end, str) else stated.entities[end].who or stated.entities[end].name


def test_reversed_decisions_name_the_later_mail_and_the_reason() -> None:
    known = truth()
    taken_back = [d for story in known.stories for d in story.decisions if d.reversed_by]
    assert len(taken_back) >= 7
    assert all(decision.reason and decision.reversed_by in known.source_ids for decision in taken_back)


def test_there_are_searches_of_every_kind_and_their_answers_exist(mailbox: Sequence[Message]) -> None:
    ids = {message["id"] for message in mailbox}
    queries = truth().queries
    assert len(queries) >= 100
    kinds = Counter(query.kind for query in queries)
    assert {*kinds} == {"sentence", "keyword", "sender", "question"}
    assert min(kinds.values()) >= 10
    assert all(query.expected and {*query.expected} <= {*query.thread} <= ids for query in queries)


def test_sentence_searches_use_the_words_of_their_mail(mailbox: Sequence[Message], plain_text: PlainText) -> None:
    by_id = {message["id"]: message for message in mailbox}
    for query in truth().queries:
        if query.kind == "sentence":
            asked = {*re.findall(r"\w+", query.text.lower())}
            answer = {*re.findall(r"\w+", plain_text(by_id[query.expected[0]]).lower())}
            assert len(asked & answer) / len(asked) > 0.8, query.text


def test_a_smaller_mailbox_has_the_truth_of_its_stories_alone() -> None:
    small, whole = truth(mails=80), truth()
    assert 0 < len(small.stories) < len(whole.stories)
    assert {*small.stated} < {*whole.stated}
    assert {q.expected for q in small.queries} <= {q.expected for q in whole.queries}


def test_stories_say_who_when_and_what() -> None:
    stories = {story.name: story for story in truth().stories}
    outage = stories["outage_disk"]
    assert "dele.marchbanks@ostrel.example" in outage.people
    assert (outage.first, outage.last) == ("2024-10-17", "2025-03-13")
    assert "Port of Hallow Bay" in stories["hallow_bay_power"].organisations


HEAD = "title: T\nfolder: Inbox\n\n"


def test_a_story_is_read_with_answers_forwards_notes_and_options() -> None:
    text = (
        "@ a | 2024-01-02 08:00 | edwin > maren / lorna | Boats | importance=high\n? keyword | boats\n\n"
        "Three boats.\n\n"
        "@ b < a | 2024-01-02 09:00 | maren\n\n> Three boats.\n\nFour.\n\n"
        "@ c > a | 2024-01-02 10:00 | maren > joost\n\nSee.\n"
    )
    first, answer, forward = parse_story("s", HEAD + text, load_cast()).mails
    assert (first.text, first.importance, [p.key for p in first.cc]) == ("Three boats.", "high", ["lorna"])
    assert ([p.key for p in answer.to], [p.key for p in answer.cc]) == (["edwin"], ["lorna"])
    assert answer.inline
    assert (answer.subject, forward.subject) == ("Re: Boats", "Fw: Boats")


@pytest.mark.parametrize(
    "entry",
    [
        "@ a | 2024-01-02 08:00 | nobody > maren | S\n\nx\n",
        "@ a < z | 2024-01-02 08:00 | edwin > maren | S\n\nx\n",
        "@ a | yesterday | edwin > maren | S\n\nx\n",
        "@ a | 2024-01-02 08:00 | edwin > maren | S | colour=red\n\nx\n",
    ],
)
def test_a_wrong_story_is_refused_with_its_name_and_entry(entry: str) -> None:
    with pytest.raises(ValueError, match="crooked: @ a"):
        parse_story("crooked", HEAD + entry, load_cast())
