from __future__ import annotations

from typing import Any
from uuid import UUID

from atom_backfill.memory.ports import Hit
from atom_backfill.search.rank import Known, Weights, rank

EVEN = Weights(semantic=1.0, text=1.0)


def a_hit(message: int, **about: Any) -> Hit:
    fields: dict[str, Any] = {
        "id": f"p-{message}",
        "message_id": UUID(int=message),
        "thread_id": f"t-{message}",
        "subject": "Lease",
        "text": "text",
        "start": 0,
        "end": 4,
        "generation": "now",
        "rank": 1,
        "score": 1.0,
    }
    return Hit(**{**fields, **about})


def hits(*messages: int) -> list[Hit]:
    return [a_hit(message, rank=place) for place, message in enumerate(messages, start=1)]


def known(*messages: int, **about: dict[int, str]) -> dict[UUID, Known]:
    def of(message: int, field: str, default: str) -> str:
        return about.get(field, {}).get(message, default)

    return {
        UUID(int=m): Known(
            of(m, "generation", "now"), of(m, "thread", f"t-{m}"), of(m, "mail", f"<{m}>"), (of(m, "folder", "Inbox"),)
        )
        for m in messages
    }


def found(results: list[Any]) -> list[int]:
    return [result.message_id.int for result in results]


def test_what_both_legs_find_comes_before_what_one_finds() -> None:
    results = rank(hits(1, 2, 3), hits(4, 3, 5), known(*range(1, 6)), weights=EVEN)
    assert found(results)[0] == 3
    assert (results[0].semantic_rank, results[0].text_rank) == (3, 2)
    assert set(found(results)) == {1, 2, 3, 4, 5}


def test_a_leg_of_weight_zero_changes_no_order() -> None:
    results = rank(hits(1, 2), hits(2, 1), known(1, 2), weights=Weights(semantic=0.0, text=1.0))
    assert found(results) == [2, 1]


def test_ranks_count_messages_not_passages() -> None:
    passages = [a_hit(1), a_hit(1, id="p-1b", rank=2), a_hit(2, rank=3)]
    results = rank(passages, [], known(1, 2), weights=EVEN)
    assert [(r.message_id.int, r.semantic_rank, r.passage.id) for r in results] == [(1, 1, "p-1"), (2, 2, "p-2")]


def test_what_the_record_does_not_know_is_left_out() -> None:
    results = rank(hits(1, 2, 3), hits(3, 2, 1), known(1, 3, generation={3: "old"}), weights=EVEN)
    assert found(results) == [1]
    assert results[0].semantic_rank == 1


def test_copies_of_a_mail_are_shown_once_with_all_their_folders() -> None:
    facts = known(1, 2, 3, mail={1: "<same>", 3: "<same>"}, folder={1: "Sent", 2: "Inbox", 3: "Inbox"})
    results = rank(hits(1, 2, 3), hits(1), facts, weights=EVEN)
    assert found(results) == [1, 2]
    assert (results[0].folders, results[0].copies) == (("Sent", "Inbox"), (UUID(int=3),))


def test_mails_without_an_internet_message_id_are_no_copies() -> None:
    assert found(rank(hits(1, 2), [], known(1, 2, mail={1: "", 2: ""}), weights=EVEN)) == [1, 2]


def test_a_thread_is_shown_by_its_best_message() -> None:
    facts = known(1, 2, 3, 4, thread={1: "a", 3: "a", 4: "a"})
    results = rank(hits(1, 2, 3, 4), hits(3), facts, weights=EVEN, group="thread")
    assert [(r.message_id.int, r.others) for r in results] == [(3, 2), (2, 0)]


def test_the_limit_counts_results_after_grouping() -> None:
    facts = known(*range(1, 9), thread=dict.fromkeys(range(1, 6), "a"))
    assert len(rank(hits(*range(1, 9)), [], facts, weights=EVEN, group="thread", limit=3)) == 3
    assert len(rank(hits(*range(1, 9)), [], facts, weights=EVEN, limit=3)) == 3


def test_the_passage_shown_is_of_the_leg_that_counts_more() -> None:
    meant, worded = [a_hit(1, id="meant")], [a_hit(2), a_hit(1, id="worded", rank=2)]
    assert rank(meant, worded, known(1, 2), weights=EVEN)[0].passage.id == "meant"
    assert rank(meant, worded, known(1, 2), weights=Weights(0.5, 1.0))[0].passage.id == "worded"


def test_equal_scores_keep_one_order() -> None:
    facts = known(1, 2)
    assert found(rank(hits(1), hits(2), facts, weights=EVEN)) == found(rank(hits(2), hits(1), facts, weights=EVEN))


def test_nothing_found_is_an_empty_list() -> None:
    assert rank([], [], {}, weights=EVEN) == []
