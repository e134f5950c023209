from __future__ import annotations

from typing import Any
from uuid import UUID

from atom_backfill.memory.ports import Hit
from atom_backfill.search.rank import Known, rank


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
    results = rank("q", hits(1, 2, 3), hits(4, 3, 5), known(*range(1, 6)))
    assert found(results)[0] == 3
    assert (results[0].semantic_rank, results[0].text_rank) == (3, 2)
    assert set(found(results)) == {1, 2, 3, 4, 5}


def test_with_one_leg_empty_the_order_of_the_other_stands() -> None:
    texts = [a_hit(1, text="nothing"), a_hit(2, text="the boiler of the workshop", rank=2)]
    assert found(rank("boiler workshop", [], texts, known(1, 2))) == [1, 2]
    assert found(rank("boiler workshop", texts, [], known(1, 2))) == [1, 2]


def test_meaning_leads_where_no_mail_holds_the_words_of_the_query() -> None:
    meant, worded = hits(1, 2, 3), hits(4, 5, 6)
    assert found(rank("who repaired the heating", meant, worded, known(*range(1, 7))))[:2] == [1, 2]


def test_words_lead_where_a_mail_holds_the_words_of_the_query() -> None:
    meant, worded = hits(1, 2, 3), [a_hit(4, text="boiler repaired"), a_hit(5, rank=2), a_hit(6, rank=3)]
    assert found(rank("boiler repaired", meant, worded, known(*range(1, 7))))[0] == 4


def test_a_mail_that_holds_all_the_words_rises() -> None:
    worded = [a_hit(n, rank=n, text="the boiler was repaired" if n == 3 else "boiler") for n in (1, 2, 3)]
    assert found(rank("boiler repaired", hits(9), worded, known(1, 2, 3, 9)))[0] == 3


def test_the_passages_of_a_mail_hold_words_together() -> None:
    worded = [a_hit(1, text="boiler"), a_hit(2, text="boiler", rank=2), a_hit(2, id="p-2b", text="repaired", rank=3)]
    assert found(rank("boiler repaired", hits(9), worded, known(1, 2, 9)))[0] == 2


def test_ranks_count_messages_not_passages() -> None:
    passages = [a_hit(1), a_hit(1, id="p-1b", rank=2), a_hit(2, rank=3)]
    results = rank("q", passages, [], known(1, 2))
    assert [(r.message_id.int, r.semantic_rank, r.passage.id) for r in results] == [(1, 1, "p-1"), (2, 2, "p-2")]


def test_what_the_record_does_not_know_is_left_out() -> None:
    results = rank("q", hits(1, 2, 3), hits(3, 2, 1), known(1, 3, generation={3: "old"}))
    assert found(results) == [1]
    assert results[0].semantic_rank == 1


def test_copies_of_a_mail_are_shown_once_with_all_their_folders() -> None:
    facts = known(1, 2, 3, mail={1: "<same>", 3: "<same>"}, folder={1: "Sent", 2: "Inbox", 3: "Inbox"})
    results = rank("q", hits(1, 2, 3), hits(1), facts)
    assert found(results) == [1, 2]
    assert (results[0].folders, results[0].copies) == (("Sent", "Inbox"), (UUID(int=3),))


def test_mails_without_an_internet_message_id_are_no_copies() -> None:
    assert found(rank("q", hits(1, 2), [], known(1, 2, mail={1: "", 2: ""}))) == [1, 2]


def test_a_thread_is_shown_by_its_best_message() -> None:
    facts = known(1, 2, 3, 4, thread={1: "a", 3: "a", 4: "a"})
    results = rank("q", hits(1, 2, 3, 4), hits(3), facts, group="thread")
    assert [(r.message_id.int, r.others) for r in results] == [(3, 2), (2, 0)]


def test_the_limit_counts_results_after_grouping() -> None:
    facts = known(*range(1, 9), thread=dict.fromkeys(range(1, 6), "a"))
    assert len(rank("q", hits(*range(1, 9)), [], facts, group="thread", limit=3)) == 3
    assert len(rank("q", hits(*range(1, 9)), [], facts, limit=3)) == 3


def test_the_passage_shown_is_of_the_leg_that_counts_more() -> None:
    meant, worded = [a_hit(1, id="meant")], [a_hit(2), a_hit(1, id="worded", rank=2)]
    assert rank("unheard of", meant, worded, known(1, 2))[0].passage.id == "meant"
    words = [a_hit(1, id="worded", text="boiler")]
    assert rank("boiler", meant, words, known(1, 2))[0].passage.id == "worded"


def test_nothing_found_is_an_empty_list() -> None:
    assert rank("q", [], [], {}) == []
