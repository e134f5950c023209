"""Communities: the same for the same graph, in levels, named by what is theirs, and the same ones from run to run."""

from __future__ import annotations

from itertools import combinations, count
from random import Random
from uuid import UUID

from atom_backfill.graph.communities import LARGEST, Community, Edge, Member, find_communities

TEAMS = ("harbour", "workshop", "depot", "ferry")


def a_town(size: int = 8, teams: tuple[str, ...] = TEAMS) -> tuple[dict[UUID, Member], list[Edge]]:
    """Teams whose people all write to one another, and somebody of each team to the next team."""
    members, edges = {}, []
    for team, name in enumerate(teams):
        ids = [UUID(int=1000 * team + number + 1) for number in range(size)]
        members.update(
            {each: Member(each, f"Ann {name} {chr(97 + n % 26) * 4}", person=True) for n, each in enumerate(ids)}
        )
        edges += [(a, b, 3) for a, b in combinations(ids, 2)]
        edges.append((ids[0], UUID(int=1000 * ((team + 1) % len(teams)) + 1), 1))
    return members, edges


def find(
    members: dict[UUID, Member], edges: list[Edge], earlier: list[Community] | None = None, first: int = 0
) -> list[Community]:
    known = {each.id: (each.level, each.members) for each in earlier or []}
    numbers = (UUID(int=10_000_000 + first + number) for number in count())
    return find_communities(members, edges, known, lambda: next(numbers))


def test_teams_are_found_and_named_by_what_is_theirs_alone() -> None:
    found = find(*a_town())
    assert {each.name.split(", ")[0] for each in found} == set(TEAMS)
    assert [len(each.members) for each in found] == [8] * 4
    assert all((each.level, each.parent) == (0, None) for each in found)
    assert not any("ann" in each.name.split(", ")[:1] for each in found), "everybody is called Ann"


def test_the_order_in_which_edges_are_read_makes_no_difference() -> None:
    members, edges = a_town()
    first = find(members, edges)
    for seed in range(3):
        Random(seed).shuffle(edges)
        turned = [(b, a, weight) for a, b, weight in edges]
        assert find(members, turned) == first


def test_a_community_keeps_its_id_while_most_of_it_stays_together() -> None:
    members, edges = a_town()
    before = find(members, edges)
    newcomer = UUID(int=9999)
    members[newcomer] = Member(newcomer, "Somebody", person=True)
    edges += [(newcomer, UUID(int=number), 3) for number in range(1, 9)]
    gone = {UUID(int=3001), UUID(int=3002), UUID(int=3003), UUID(int=3004), UUID(int=3005), UUID(int=3006)}
    edges = [edge for edge in edges if not gone & {edge[0], edge[1]}]
    after = find(members, edges, before, first=100)
    kept = {each.id for each in before} & {each.id for each in after}
    grown = next(each for each in after if newcomer in each.members)
    assert grown.id in kept
    assert len(kept) == 3, "of the fourth too little is left"


def test_a_large_community_is_divided_and_its_parts_lie_within_it() -> None:
    random = Random(1)
    members, edges = {}, []
    for half in (0, 2 * LARGEST):
        ids = [UUID(int=half + number + 1) for number in range(2 * LARGEST)]
        members.update({each: Member(each, "", person=False) for each in ids})
        edges += [(each, random.choice(ids), 4) for each in ids for _ in range(40)]
    found = find(members, edges)
    below = [each for each in found if each.level > 0]
    known = {each.id: each for each in found}
    assert len(below) > 3
    for each in below:
        assert each.parent is not None
        assert each.members <= known[each.parent].members
        assert each.level == known[each.parent].level + 1


def test_nothing_comes_of_nothing() -> None:
    assert find({}, []) == []
    lonely = UUID(int=1)
    assert find({lonely: Member(lonely, "", person=True)}, [(lonely, lonely, 1), (lonely, UUID(int=2), 1)]) == []
