"""Groups and the walls between them."""

from __future__ import annotations

from atom_backfill.graph.resolve_union import Groups


def test_a_wall_holds_for_all_who_join_later_on_either_side() -> None:
    groups = Groups()
    groups.part([("a", "b")])
    assert all(groups.join(x, y) for x, y in (("c", "d"), ("d", "a"), ("e", "f"), ("b", "e")))
    assert not groups.join("c", "f")
    assert groups.parted("c", "f")
    assert groups.parted_from("d") == {groups.head("e")}


def test_two_of_one_group_are_not_joined_again_and_not_parted() -> None:
    groups = Groups()
    assert groups.join("a", "b")
    groups.part([("b", "a")])
    assert not groups.join("b", "a")
    assert groups.together("a", "b")
    assert not groups.parted("a", "b")


def test_a_key_that_nobody_named_is_a_group_of_its_own() -> None:
    groups = Groups()
    assert groups.head("a") == "a"
    assert not groups.together("a", "b")
