"""Who is who: what joins two addresses, what does not, and that a person's word wins."""

from __future__ import annotations

import subprocess
import sys

import pytest

from atom_backfill.graph.resolve import Pins, Resolution, Sightings, group_heads, resolve, taken_out, worth_a_look
from atom_backfill.graph.resolve_bearers import Identity
from atom_backfill.graph.resolve_rules import Rule


def people(*written: str) -> list[Identity]:
    """Read `Ines Halloran <ines@lumen.example>`, a name as often as it is written."""
    names: dict[str, dict[str, int]] = {}
    for line in written:
        name, _, address = line.removesuffix(">").rpartition("<")
        counts = names.setdefault(address.strip(), {})
        counts[name.strip()] = counts.get(name.strip(), 0) + 1
    return [Identity(address, counts) for address, counts in names.items()]


def joined(found: Resolution) -> set[tuple[str, str, Rule]]:
    return {(merge.a, merge.b, merge.rule) for merge in found.merges}


def suggested(found: Resolution) -> set[tuple[str, str, Rule]]:
    return {(pair.a, pair.b, pair.rule) for pair in found.suggestions}


def only(found: Resolution) -> Rule:
    """The rule of the only merge, there being no suggestion."""
    (merge,) = found.merges
    assert found.suggestions == ()
    return merge.rule


def only_suggestion(found: Resolution) -> Rule:
    (pair,) = found.suggestions
    assert found.merges == ()
    assert not pair.sure
    return pair.rule


def nothing(found: Resolution) -> bool:
    return found.merges == () and found.suggestions == ()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ines+news@lumen.test", "ines@lumen.test"),
        ("ines=40lumen.test@dmarc.lists.example", "ines@lumen.test"),
        ("prvs=0123456789=ines@lumen.test", "ines@lumen.test"),
        ("srs0=abcd=xy=lumen.test=ines@relay.example", "ines@lumen.test"),
        ("i.nes@googlemail.com", "ines@gmail.com"),
    ],
)
def test_the_forms_of_one_address_are_one(one: str, other: str) -> None:
    assert only(resolve(people(one, other))) is Rule.ADDRESS


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("announce+owner@lumen.test", "announce@lumen.test"),
        ("info@lumen.test", "info@harbour.test"),
        ("Ines Halloran <info@lumen.test>", "Ines Halloran <ines@lumen.test>"),
        ("Ines Halloran <noreply@lumen.test>", "Ines Halloran <ines@harbour.test>"),
        ("Ines <ines@lumen.test>", "Ines <ines@harbour.test>"),
        ("ines@gmail.com", "ines@outlook.com"),
        ("Lumen Support <ines@lumen.test>", "Lumen Support <tomasz@harbour.test>"),
        ("Ines Halloran <ines@lumen.test>", "Tomasz Halloran <tomasz@lumen.test>"),
    ],
)
def test_shared_addresses_and_bare_given_names_are_nobody_in_particular(one: str, other: str) -> None:
    assert nothing(resolve(people(one, other)))


@pytest.mark.parametrize(
    ("one", "other", "rule"),
    [
        ("Ines Halloran <ines@lumen.test>", "Halloran, Ines <ihallora@lumen.test>", Rule.NAME_AND_ORGANIZATION),
        ("Ines Halloran <ines@lumen.test>", "Ines M. Halloran <imh@mail.lumen.test>", Rule.NAME_AND_ORGANIZATION),
        ("Jörg Bächle <joerg@lumen.test>", "Joerg Baechle <jb@lumen.test>", Rule.NAME_AND_ORGANIZATION),
        ("Dr. Ines Halloran, MBA <ines@lumen.test>", "ines.halloran@lumen.test", Rule.NAME_AND_ORGANIZATION),
        ("Mike Reyl <mike@lumen.test>", "Reyl, Michael <mreyl@lumen.test>", Rule.NICKNAME_AND_ORGANIZATION),
        ("Ines Halloran <ines@lumen.test>", "Ines Halloran <ih77@gmail.com>", Rule.NAME),
        ("Ines Halloran <ines@lumen.test>", "ines.halloran@harbour.test", Rule.NAME),
        ("Ines Halloran <mail@halloran.example>", "Ines Halloran <ines@lumen.test>", Rule.NAME),
        ("Lumen Alerts <a81f00312@lumen.test>", "Lumen Alerts <a99f00777@lumen.test>", Rule.SENDER),
    ],
)
def test_a_name_joins(one: str, other: str, rule: Rule) -> None:
    assert only(resolve(people(one, other))) is rule


@pytest.mark.parametrize(
    ("one", "other", "rule"),
    [
        ("Maria Smith <maria@lumen.test>", "Maria Smith <maria.smith@harbour.test>", Rule.NAME),
        ("Mike Smith <mike@lumen.test>", "Michael Smith <michael@lumen.test>", Rule.NICKNAME_AND_ORGANIZATION),
        ("Mike Reyl <mike@lumen.test>", "Michael Reyl <reyl@harbour.test>", Rule.NICKNAME),
        ("Catherine Reyl <cr@lumen.test>", "Katherine Reyl <kr@lumen.test>", Rule.SPELLING),
        ("Tomasz Halloran <t@lumen.test>", "Tomasz Haloran <t@harbour.test>", Rule.SPELLING),
        ("Reyl Tomasz <t@lumen.test>", "Tomasz Reyl <tr@harbour.test>", Rule.REVERSED),
        ("Tomasz Reyl <tomasz@lumen.test>", "treyl@lumen.test", Rule.LOCAL_PART),
        ("/o=lumen/ou=x/cn=recipients/cn=treyl", "Tomasz Reyl <treyl@lumen.test>", Rule.EXCHANGE),
        ("tomasz.reyl@lumen.test", "tomasz.reyl@harbour.test", Rule.NAME),
        ("Tomasz Reyl <tomasz.reyl@lumen.test>", "Tomasz Reyl <tomasz.reyl2@lumen.test>", Rule.NAME_AND_ORGANIZATION),
    ],
)
def test_a_doubt_is_a_suggestion(one: str, other: str, rule: Rule) -> None:
    assert only_suggestion(resolve(people(one, other))) is rule


def test_an_exchange_name_with_the_same_name_is_the_mailbox() -> None:
    found = resolve(people("Reyl, Tomasz </o=lumen/ou=x/cn=recipients/cn=treyl>", "Tomasz Reyl <treyl@lumen.test>"))
    assert only(found) is Rule.EXCHANGE


def test_a_common_name_joins_when_a_middle_name_agrees() -> None:
    found = resolve(people("Maria K. Smith <maria@lumen.test>", "Maria K. Smith <smith@harbour.test>"))
    assert only(found) is Rule.NAME


def test_a_common_name_joins_when_both_write_with_the_same_people() -> None:
    written = people("Maria Smith <maria@lumen.test>", "Maria Smith <smith@harbour.test>")
    look = worth_a_look(written)
    assert look == Sightings(acquainted=frozenset({("maria@lumen.test", "smith@harbour.test")}))
    assert only(resolve(written, sightings=look)) is Rule.NAME


def test_middle_names_that_contradict_keep_namesakes_apart() -> None:
    found = resolve(people("Ines A. Halloran <ia@lumen.test>", "Ines B. Halloran <ib@lumen.test>"))
    assert nothing(found)


def test_father_and_son_stay_apart() -> None:
    found = resolve(people("Tomasz Reyl Sr. <t1@lumen.test>", "Tomasz Reyl Jr. <t2@lumen.test>"))
    assert nothing(found)


def test_one_who_may_be_either_of_two_joins_neither() -> None:
    found = resolve(
        people(
            "Ines A. Halloran <ia@lumen.test>", "Ines B. Halloran <ib@lumen.test>", "Ines Halloran <ines@lumen.test>"
        )
    )
    assert found.merges == ()
    assert {(a, b) for a, b, _ in suggested(found)} == {
        ("ia@lumen.test", "ines@lumen.test"),
        ("ib@lumen.test", "ines@lumen.test"),
    }


def test_a_nickname_that_fits_two_joins_neither() -> None:
    found = resolve(
        people("Chris Reyl <cr@lumen.test>", "Christopher Reyl <c1@lumen.test>", "Christine Reyl <c2@lumen.test>")
    )
    assert found.merges == ()


def test_two_who_stand_side_by_side_in_a_header_are_namesakes() -> None:
    written = people("Ines Halloran <ines@lumen.test>", "Ines Halloran <ines.h@lumen.test>")
    pair = ("ines.h@lumen.test", "ines@lumen.test")
    assert worth_a_look(written) == Sightings(side_by_side=frozenset({pair}))
    assert joined(resolve(written)) == {(*pair, Rule.NAME_AND_ORGANIZATION)}
    assert suggested(resolve(written, sightings=Sightings(side_by_side=frozenset({pair[::-1]})))) == {
        (*pair, Rule.NAME_AND_ORGANIZATION)
    }


def test_who_may_be_either_of_two_namesakes_joins_neither() -> None:
    written = people(
        "Ines Halloran <ines@lumen.test>", "Ines Halloran <ines2@lumen.test>", "Ines Halloran <ines@home.test>"
    )
    found = resolve(written)
    assert found.merges == ()
    assert len(found.suggestions) == 3


def test_the_rest_of_a_torn_group_stays_together() -> None:
    written = people(*(f"Ines Halloran <{local}@lumen.test>" for local in ("a", "b", "c", "d")))
    split = Pins(different=frozenset({("a@lumen.test", "b@lumen.test")}))
    assert joined(resolve(written, split)) == {("c@lumen.test", "d@lumen.test", Rule.NAME_AND_ORGANIZATION)}


def test_the_surer_rule_decides_between_namesakes() -> None:
    written = people(
        "Ines Halloran <ines@lumen.test>", "Ines Halloran <ines2@lumen.test>", "Ines Halloran <ines+x@lumen.test>"
    )
    found = resolve(written)
    assert joined(found) == {("ines+x@lumen.test", "ines@lumen.test", Rule.ADDRESS)}


def test_a_merge_taken_out_leaves_its_two_parts() -> None:
    written = people(*(f"Ines Halloran <{local}@lumen.test>" for local in ("a", "b", "c", "d")))
    merges = [(merge.a, merge.b) for merge in resolve(written).merges]
    gone = merges[1]
    parts = group_heads((one.key for one in written), [pair for pair in merges if pair != gone])
    after = resolve(written, taken_out(merges, gone))
    assert group_heads((one.key for one in written), ((m.a, m.b) for m in after.merges)) == parts


def test_an_address_that_two_persons_use_joins_neither() -> None:
    found = resolve(
        people(
            "Ines Halloran <desk@lumen.test>",
            "Tomasz Reyl <desk@lumen.test>",
            "Ines Halloran <ines@lumen.test>",
            "Tomasz Reyl <tomasz@lumen.test>",
        )
    )
    assert found.merges == ()


def test_a_name_on_more_addresses_than_a_person_has_joins_none() -> None:
    assert resolve(people(*(f"Ines Halloran <ines@lumen{n}.test>" for n in range(17)))).merges == ()


def test_a_known_list_is_no_person() -> None:
    (ines,) = people("Ines Halloran <ines@lumen.test>")
    assert nothing(resolve([ines, Identity("friends@lumen.test", {"Ines Halloran": 3}, shared=True)]))


def test_a_persons_merge_needs_no_rule() -> None:
    written = people("Ines Halloran <ines@lumen.test>", "Sunshine <s@harbour.test>")
    found = resolve(written, Pins(same=frozenset({("s@harbour.test", "ines@lumen.test")})))
    assert joined(found) == {("ines@lumen.test", "s@harbour.test", Rule.PINNED)}


def test_a_persons_split_holds_and_is_not_asked_again() -> None:
    written = people("Ines Halloran <ines@lumen.test>", "Ines Halloran <ines@harbour.test>")
    assert nothing(resolve(written, Pins(different=frozenset({("ines@lumen.test", "ines@harbour.test")}))))


def test_a_split_wins_over_a_merge_that_contradicts_it_and_says_so() -> None:
    written = people("a@lumen.test", "b@lumen.test", "c@lumen.test")
    a, b, c = (one.key for one in written)
    found = resolve(written, Pins(same=frozenset({(a, b), (b, c)}), different=frozenset({(a, c)})))
    assert joined(found) == {(a, b, Rule.PINNED)}
    assert found.refused == ((b, c),)


def test_a_models_yes_joins_and_its_no_ends_the_question() -> None:
    written = people("Mike Reyl <mike@lumen.test>", "Michael Reyl <reyl@harbour.test>")
    pair = ("reyl@harbour.test", "mike@lumen.test")
    assert only(resolve(written, verdicts={pair: True})) is Rule.MODEL
    assert nothing(resolve(written, verdicts={pair: False}))


def test_a_persons_split_wins_over_a_models_yes() -> None:
    written = people("Mike Reyl <mike@lumen.test>", "Michael Reyl <reyl@harbour.test>")
    pair = ("mike@lumen.test", "reyl@harbour.test")
    assert nothing(resolve(written, Pins(different=frozenset({pair})), verdicts={pair: True}))


def test_a_merge_says_why() -> None:
    (merge,) = resolve(people("Mike Reyl <mike@lumen.test>", "Reyl, Michael <mreyl@lumen.test>")).merges
    assert merge.evidence == "named mike reyl and michael reyl, both at lumen.test"
    assert 0.9 < merge.score < 1


def test_the_result_is_the_same_in_another_process() -> None:
    program = (
        "from atom_backfill.graph.resolve import resolve\n"
        "from atom_backfill.graph.resolve_bearers import Identity\n"
        "names = ['Ines Halloran', 'Ines A. Halloran', 'Mike Reyl', 'Michael Reyl', 'Mich Reyl', 'I. Halloran']\n"
        "print(resolve([Identity(f'{n}@d{n % 5}.test', {name: 1, names[n % 5]: 2}) "
        "for n, name in enumerate(names * 5)]))"
    )
    said = set()
    for seed in ("1", "2"):
        command = [sys.executable, "-c", program]
        said.add(subprocess.run(command, env={"PYTHONHASHSEED": seed}, capture_output=True, check=True).stdout)
    assert len(said) == 1
