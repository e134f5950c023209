"""The graph as its user looks at it and corrects it, by the commands."""

from __future__ import annotations

from local_home import ADDRESS, Home

TOMASZ = "tomasz@lumen.example"


def test_an_entity_its_neighbours_and_its_dates_are_shown(home: Home) -> None:
    entity = home.call("entity", "Ines Halloran", "--json").json
    assert (entity["type"], entity["name"], entity["key"]) == ("person", "Ines Halloran", ADDRESS)
    near = home.call("neighbors", ADDRESS, "--json").json
    assert near.keys() == {"nodes", "edges", "truncated"}
    wrote = next(edge for edge in near["edges"] if edge["relationship_type"] == "writes_to")
    assert (wrote["weight"], wrote["evidence"][0].keys()) == (20, {"message_id", "quote", "start", "end"})
    facts = home.call("timeline", entity["node_id"][:10], "--json").json["facts"]
    assert [fact["valid_from"] for fact in facts] == ["2024-03-01T09:00:00Z"] * 2
    way = home.call("path", ADDRESS, TOMASZ, "--json").json
    assert [node["key"] for node in way["nodes"]] == [ADDRESS, TOMASZ]


def test_what_a_person_says_is_shown_and_can_be_taken_back(home: Home) -> None:
    assert home.call("merge", TOMASZ, ADDRESS, "--json").status == 0
    entity = home.call("entity", TOMASZ, "--json").json
    assert (entity["key"], entity["merges"][0]["rule"]) == (ADDRESS, "pinned")
    assert TOMASZ in entity["aliases"]
    assert "pinned" in home.call("entity", ADDRESS).out
    assert home.call("merge", TOMASZ, ADDRESS).status == 5
    assert home.call("unmerge", entity["merges"][0]["merge_id"]).status == 0
    assert home.call("entity", TOMASZ, "--json").json["key"] == TOMASZ
    assert home.call("merge", TOMASZ, ADDRESS, "--different").status == 0


def test_people_read_lines_with_the_mail_behind_each(home: Home) -> None:
    assert "Ines Halloran <ines@lumen.example> · message" in home.call("entity", ADDRESS).out
    assert "writes to Tomasz Reyl" in home.call("neighbors", ADDRESS).out
    assert home.call("timeline", ADDRESS).out.startswith("2024-03-01")
    assert home.call("path", ADDRESS, TOMASZ).out.startswith("Ines Halloran")
    assert home.call("entity", "--suggestions", "--json").json == {"suggestions": []}


def test_communities_have_levels_names_and_members(home: Home) -> None:
    found = home.call("communities", "--json").json["communities"]
    assert [(each["level"], each["size"]) for each in found] == [(0, 3)]
    assert {member["key"] for member in found[0]["members"]} == {ADDRESS, TOMASZ, "lumen.example"}
    assert found[0]["name"].split(", ")[0] in home.call("communities", found[0]["community_id"][:8]).out
    assert home.call("communities", "7c20").status == 3


def test_what_is_not_there_or_not_clear_is_told_in_a_sentence(home: Home) -> None:
    assert home.call("entity", "nobody at all").status == 3
    assert home.call("unmerge", "7c20").status == 3
    assert home.call("entity").status == home.call("neighbors", "lumen", "--depth", "4").status == 2
    assert home.call("merge", ADDRESS, "lumen.example").status == 2
