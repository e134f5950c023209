"""The truth beside the sample: quotes that occur, decisions that were reversed, searches with answers."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence

import pytest

from atom_simulators.sample import truth
from atom_simulators.sample.cast import load_cast
from atom_simulators.sample.story import parse_story

from .conftest import Message

PlainText = Callable[[Message], str]


def test_every_quote_occurs_in_its_mail(mailbox: Sequence[Message], plain_text: PlainText) -> None:
    known = truth()
    by_id = {message["id"]: message for message in mailbox}
    assert len(known.facts) >= 60
    for fact in known.facts:
        assert fact.quote in plain_text(by_id[known.source_ids[fact.mail_key]]), fact


def test_facts_are_of_many_kinds() -> None:
    relations = Counter(fact.relation for fact in truth().facts)
    assert {"works_for", "reports_to", "has_title", "located_in", "committed_to", "decided", "reversed"} <= {*relations}
    assert relations["committed_to"] >= 15
    assert relations["works_for"] >= 10


def test_what_was_reversed_was_decided_before() -> None:
    facts = truth().facts
    decided = {(fact.mail_key.partition("/")[0], fact.object) for fact in facts if fact.relation == "decided"}
    taken_back = {(fact.mail_key.partition("/")[0], fact.object) for fact in facts if fact.relation == "reversed"}
    assert len(taken_back) >= 6
    assert taken_back <= decided


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
    assert {*small.facts} < {*whole.facts}
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
