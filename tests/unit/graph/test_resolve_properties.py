"""What holds of every resolution: no order matters, a person's word holds, and each merge can be taken out again."""

from __future__ import annotations

from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from atom_backfill.graph.resolve import Pins, Resolution, Sightings, group_heads, resolve, taken_out
from atom_backfill.graph.resolve_bearers import Identity

# Few and colliding, so that chains, contradictions and walls are the rule.
WRITTEN = ["Ines Halloran", "Halloran, Ines", "Ines A. Halloran", "Ines B. Halloran", "I. Halloran", "Mike Reyl"]
WRITTEN += ["Michael Reyl", "Michelle Reyl", "M. Reyl", "Mike", "Lumen Support", ""]
LOCALS = ["ines", "ines2", "ines.halloran", "i.b.halloran", "ihallora", "mike.reyl", "mreyl", "info", "ines+x"]
KEYS = [f"{local}@{domain}" for local, domain in product(LOCALS, ("lumen.test", "harbour.test", "gmail.com"))]

pairs = st.tuples(st.sampled_from(KEYS), st.sampled_from(KEYS)).filter(lambda pair: pair[0] != pair[1])
some_pairs = st.frozensets(pairs, max_size=6)
identity_lists = st.dictionaries(
    st.sampled_from(KEYS),
    st.dictionaries(st.sampled_from(WRITTEN), st.integers(1, 9), max_size=3),
    min_size=2,
    max_size=14,
).map(lambda names: [Identity(key, counts) for key, counts in names.items()])
sightings = st.builds(Sightings, side_by_side=some_pairs, acquainted=some_pairs)
all_pins = st.builds(Pins, same=some_pairs, different=some_pairs)
verdict_tables = st.dictionaries(pairs, st.booleans(), max_size=6)


def heads(identities: list[Identity], found: Resolution) -> dict[str, str]:
    return group_heads((one.key for one in identities), ((merge.a, merge.b) for merge in found.merges))


def turned(pairs: frozenset[tuple[str, str]]) -> frozenset[tuple[str, str]]:
    return frozenset((b, a) for a, b in pairs)


@given(identity_lists, all_pins, sightings, verdict_tables, st.randoms(use_true_random=False))
def test_no_order_matters(
    identities: list[Identity],
    pins: Pins,
    seen: Sightings,
    verdicts: dict[tuple[str, str], bool],
    random: object,
) -> None:
    first = resolve(identities, pins, seen, verdicts)
    shuffled = [Identity(one.key, dict(reversed(one.names.items()))) for one in identities]
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    turned_pins = Pins(turned(pins.same), turned(pins.different))
    turned_seen = Sightings(turned(seen.side_by_side), turned(seen.acquainted))
    turned_verdicts = {(b, a): same for (a, b), same in reversed(verdicts.items())}
    assert resolve(shuffled, turned_pins, turned_seen, turned_verdicts) == first


@given(identity_lists, all_pins, sightings, verdict_tables)
def test_what_a_person_has_said_holds_through_any_chain(
    identities: list[Identity], pins: Pins, seen: Sightings, verdicts: dict[tuple[str, str], bool]
) -> None:
    found = resolve(identities, pins, seen, verdicts)
    head = heads(identities, found)
    for a, b in pins.different:
        assert a not in head or head[a] != head.get(b)
    refused = {frozenset(pair) for pair in found.refused}
    for a, b in pins.same:
        if a in head and b in head and frozenset((a, b)) not in refused:
            assert head[a] == head[b]


@given(identity_lists, all_pins, sightings)
def test_a_suggestion_is_open(identities: list[Identity], pins: Pins, seen: Sightings) -> None:
    found = resolve(identities, pins, seen)
    head = heads(identities, found)
    apart = {frozenset((head[a], head[b])) for a, b in pins.different if a in head and b in head}
    asked = [frozenset((head[pair.a], head[pair.b])) for pair in found.suggestions]
    assert len(asked) == len(set(asked))
    assert all(len(groups) == 2 and groups not in apart for groups in asked)


@given(identity_lists, all_pins)
def test_a_merge_taken_out_leaves_the_two_parts_and_nothing_else(identities: list[Identity], pins: Pins) -> None:
    found = resolve(identities, pins)
    whole = heads(identities, found)
    for gone in found.merges:
        rest = [(merge.a, merge.b) for merge in found.merges if merge is not gone]
        parts = group_heads(whole, rest)
        assert parts[gone.a] != parts[gone.b]
        assert len(set(parts.values())) == len(set(whole.values())) + 1
        assert all(parts[key] == whole[key] for key in whole if whole[key] != whole[gone.a])


@given(identity_lists, st.data())
def test_an_unmerge_leaves_the_two_parts_and_its_withdrawal_restores(
    identities: list[Identity], data: st.DataObject
) -> None:
    found = resolve(identities)
    if not found.merges:
        return
    merges = [(merge.a, merge.b) for merge in found.merges]
    gone = data.draw(st.sampled_from(merges))
    parts = group_heads((one.key for one in identities), [pair for pair in merges if pair != gone])
    after = heads(identities, resolve(identities, taken_out(merges, gone)))
    assert after[gone[0]] != after[gone[1]]
    for a, b in merges:
        assert (a, b) == gone or after[a] == after[b]
    assert {after[key] for key in after if parts[key] == parts[gone[0]]} == {after[gone[0]]}
    assert resolve(identities) == found


@given(identity_lists)
def test_a_shared_address_is_joined_to_no_person(identities: list[Identity]) -> None:
    for merge in resolve(identities).merges:
        assert merge.a.startswith("info@") == merge.b.startswith("info@")
