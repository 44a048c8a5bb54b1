"""The rules of docs/sync.md by example, one class per rule. What holds always is in test_any_history.py."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from syncline.domain.commands import AddVersion, Command, MakeFolder, Move, Remove, Withdraw
from syncline.domain.commits import Effect, Result, Status
from syncline.domain.deciding import decide
from syncline.domain.errors import Broken
from syncline.domain.facts import ChangesSinceFact, NodeFact
from syncline.domain.nodes import Location
from syncline.domain.partial_tree import PartialTree
from tests.unit.domain.world import LIBRARY, Hand, World

MARK = " (conflict 2026-11-23 {})"


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def alice(world: World) -> Hand:
    return Hand(world, "alice-laptop")


@pytest.fixture
def bob(world: World) -> Hand:
    return Hand(world, "bob-desktop")


def answer(result: Result) -> tuple[Status, str]:
    return result.status, result.reason


def folder(hand: Hand, name: str, parent: str = LIBRARY) -> str:
    result = hand.one(MakeFolder(hand.world.new_id("folder"), parent, name))
    assert result.status is Status.APPLIED
    return result.node


class TestRule1NothingChangedSince:
    def test_a_new_file_appears(self, world, alice):
        assert alice.write("plan.ods", "one").status is Status.APPLIED
        assert world.paths() == {"plan.ods": "one"}

    def test_a_version_on_the_current_one_takes_its_place(self, world, alice, bob):
        alice.write("plan.ods", "one")
        assert bob.edit(world.at("plan.ods"), "two").status is Status.APPLIED
        assert world.paths() == {"plan.ods": "two"}
        assert world.commits[-1].changes[0].effect is Effect.UPDATED

    def test_the_state_says_who_changed_what_and_when(self, world, alice, bob):
        alice.write("plan.ods", "one")
        bob.edit(world.at("plan.ods"), "two")
        node = world.at("plan.ods")
        assert (node.seq, node.placed_seq, node.content_seq) == (2, 1, 2)
        assert (node.author.device, node.placer.device) == ("bob-desktop", "alice-laptop")

    def test_making_only_executable_is_a_version(self, world, alice):
        alice.write("run", "one")
        node = world.at("run")
        again = alice.permit("one", node=node.id, base=node.version.id, executable=True)
        assert alice.one(AddVersion(again)).status is Status.APPLIED
        assert world.at("run").version.executable

    def test_a_link_is_not_the_file_that_holds_its_target_as_text(self, world, alice, bob):
        alice.write("way", "target")
        node = world.at("way")
        link = alice.permit("target", node=node.id, base=node.version.id, symlink=True)
        assert alice.one(AddVersion(link)).status is Status.APPLIED
        assert world.at("way").version.symlink
        beside = bob.one(AddVersion(bob.permit("target", name="way")))
        assert beside.status is Status.CONFLICT
        assert bob.one(AddVersion(bob.permit("target", name="way", symlink=True))).status is Status.UNCHANGED

    def test_editing_the_content_that_is_there_under_another_version_id(self, world, alice, bob):
        alice.write("plan", "one")
        node, first = world.at("plan"), world.at("plan").version.id
        bob.edit(node, "two")
        bob.one(bob.copy(first, node=node.id, base=world.at("plan").version.id))
        assert alice.edit(node, "three", base=first).status is Status.APPLIED
        assert world.paths() == {"plan": "three"}


class TestRule2SameContentTwice:
    def test_a_permit_again_changes_nothing(self, world, alice):
        permit = alice.permit("one", name="plan")
        first, again = alice.one(AddVersion(permit)), alice.one(AddVersion(permit))
        assert (again.status, again.node, again.version) == (Status.UNCHANGED, first.node, permit.id)
        assert len(world.commits) == 1

    def test_a_permit_twice_in_one_command(self, world, alice):
        permit = AddVersion(alice.permit("one", name="plan"))
        assert [r.status for r in alice.ask(permit, permit).results] == [Status.APPLIED, Status.UNCHANGED]

    def test_two_people_with_the_same_bytes(self, world, alice, bob):
        alice.write("plan", "one")
        result = bob.write("plan", "one")
        assert (result.status, result.node) == (Status.UNCHANGED, world.at("plan").id)
        assert world.paths() == {"plan": "one"}

    def test_a_permit_that_changed_nothing_stays_used_up(self, world, alice, bob):
        alice.write("plan", "one")
        late_event = bob.permit("one", name="plan")
        bob.one(AddVersion(late_event))
        alice.edit(world.at("plan"), "two")
        assert bob.one(AddVersion(late_event)).status is Status.UNCHANGED
        assert world.paths() == {"plan": "two"}

    def test_the_same_edit_on_a_stale_base(self, world, alice, bob):
        alice.write("plan", "one")
        base = world.at("plan")
        alice.edit(base, "two")
        assert bob.edit(base, "two").status is Status.UNCHANGED

    def test_copying_what_is_there_already_leaves_no_trace(self, world, alice, bob):
        version = alice.write("plan", "one").version
        assert bob.one(bob.copy(version, name="plan")).status is Status.UNCHANGED
        assert len(world.commits) == 1

    def test_a_folder_that_is_there_already_is_the_one_meant(self, world, alice, bob):
        there = folder(alice, "docs")
        made, written = bob.ask(
            MakeFolder("mine", LIBRARY, "docs"), AddVersion(bob.permit("one", parent="mine", name="plan"))
        ).results
        assert (made.status, made.node) == (Status.UNCHANGED, there)
        assert written.parent == there
        assert world.paths() == {"docs": None, "docs/plan": "one"}


class TestRule3Conflicts:
    def test_an_edit_on_a_stale_base_is_kept_beside(self, world, alice, bob):
        alice.write("plan.ods", "one")
        base = world.at("plan.ods")
        alice.edit(base, "two")
        result = bob.edit(base, "three")
        assert result.status is Status.CONFLICT
        assert world.paths() == {"plan.ods": "two", f"plan{MARK.format('bob-desktop')}.ods": "three"}
        assert world.known_node(result.node).conflict_of == base.id

    def test_a_new_file_on_a_taken_name_is_kept_beside_under_its_own_id(self, world, alice, bob):
        alice.write("plan", "one")
        permit = bob.permit("two", name="plan")
        assert bob.one(AddVersion(permit)).node == permit.node
        assert world.paths() == {"plan": "one", f"plan{MARK.format('bob-desktop')}": "two"}

    def test_a_new_file_on_a_folders_name(self, world, alice, bob):
        folder(alice, "docs")
        assert bob.write("docs", "one").status is Status.CONFLICT
        assert sorted(world.paths().values(), key=str) == [None, "one"]

    def test_a_second_conflict_gets_a_number(self, world, alice, bob):
        alice.write("plan", "one")
        bob.write("plan", "two")
        assert bob.write("plan", "three").name == "plan (conflict 2026-11-23 bob-desktop 2)"

    def test_the_same_conflict_twice_is_one(self, world, alice, bob):
        alice.write("plan", "one")
        first = bob.write("plan", "two")
        again = bob.write("plan", "two")
        assert (again.status, again.node) == (Status.UNCHANGED, first.node)

    def test_editing_on_finds_the_conflict_copy_that_the_last_edit_became(self, world, alice, bob):
        alice.write("plan", "one")
        base = world.at("plan")
        alice.edit(base, "two")
        beside = bob.edit(base, "three")
        result = bob.edit(base, "four", base=beside.version)  # bob has not heard of the new node
        assert (result.status, result.node) == (Status.APPLIED, beside.node)
        assert set(world.paths().values()) == {"two", "four"}

    def test_it_lies_where_the_file_is_now(self, world, alice, bob):
        docs = folder(alice, "docs")
        alice.write("plan", "one")
        base = world.at("plan")
        alice.one(Move(base.id, 99, docs, "plot"))
        alice.edit(base, "two")
        assert bob.edit(base, "three").parent == docs
        assert f"docs/plot{MARK.format('bob-desktop')}" in world.paths()

    def test_who_names_a_conflict_copy_has_settled_it(self, world, alice, bob):
        docs = folder(alice, "docs")
        alice.write("plan", "one")
        copy = bob.write("plan", "two")
        assert alice.one(Move(copy.node, 99, docs, copy.name)).status is Status.APPLIED
        assert world.known_node(copy.node).conflict_of == world.at("plan").id
        assert alice.one(Move(copy.node, 99, LIBRARY, "plan")).status is Status.CONFLICT
        assert world.known_node(copy.node).conflict_of == world.at("plan").id
        assert alice.one(Move(copy.node, 99, docs, "plan")).status is Status.APPLIED
        assert world.known_node(copy.node).conflict_of == ""

    def test_a_hundred_conflicts_of_one_name(self, world, alice, bob):
        alice.write("plan", "one")
        for n in range(105):
            assert bob.write("plan", f"other {n}").status is Status.CONFLICT
        assert len(world.contents()) == 106


class TestRule4LateArrivals:
    def test_an_upload_that_its_device_has_outrun_is_history(self, world, alice):
        alice.write("plan", "one")
        base = world.at("plan")
        slow = alice.permit("two", node=base.id, base=base.version.id)
        alice.edit(base, "three")
        result = alice.one(AddVersion(slow))
        assert (result.status, result.version) == (Status.LATE, slow.id)
        assert world.paths() == {"plan": "three"}
        assert world.commits[-1].changes[0].late.checksum == "two"

    def test_an_upload_whose_earlier_one_its_device_did_not_see_committed(self, world, alice):
        alice.write("plan", "one")
        base = world.at("plan")
        alice.edit(base, "two")
        assert alice.edit(base, "three").status is Status.APPLIED
        assert world.paths() == {"plan": "three"}

    def test_it_does_not_revive_what_its_device_removed(self, world, alice):
        alice.write("plan", "one")
        base = world.at("plan")
        slow = alice.permit("two", node=base.id, base=base.version.id)
        alice.one(Remove(base.id, 1, False))
        assert alice.one(AddVersion(slow)).status is Status.LATE
        assert world.paths() == {}

    def test_a_new_file_does_not_revive_the_folder_its_device_removed(self, world, alice):
        docs = folder(alice, "docs")
        slow = alice.permit("two", parent=docs, name="plan")
        alice.one(Remove(docs, 1, True))
        result = alice.one(AddVersion(slow))
        assert result.status is Status.LATE
        assert world.paths() == {}
        assert world.known_node(result.node).removed
        assert alice.one(AddVersion(slow)).status is Status.UNCHANGED

    def test_it_revives_what_someone_else_had_removed_first(self, world, alice, bob):
        docs = folder(alice, "docs")
        deep = folder(alice, "deep", docs)
        plan = alice.write("plan", "one", deep)
        slow = alice.permit("two", node=plan.node, base=plan.version)
        bob.one(Remove(deep, 3, True))
        alice.one(Remove(docs, 3, True))
        assert alice.one(AddVersion(slow)).status is Status.APPLIED
        assert world.paths() == {"docs": None, "docs/deep": None, "docs/deep/plan": "two"}

    def test_a_new_file_on_the_name_its_device_has_written_since(self, world, alice):
        slow = alice.permit("one", name="plan")
        alice.write("plan", "two")
        assert alice.one(AddVersion(slow)).status is Status.LATE
        assert world.paths() == {"plan": "two"}

    def test_a_file_that_someone_else_put_there_is_no_late_arrival(self, world, alice, bob):
        slow = alice.permit("one", name="plan")
        other = alice.write("other", "two")
        bob.one(Move(other.node, 1, LIBRARY, "plan"))
        assert alice.one(AddVersion(slow)).status is Status.CONFLICT

    def test_a_withdrawn_permit_makes_no_version(self, world, alice):
        permit = alice.permit("one", name="plan")
        assert alice.one(Withdraw(permit.id)).status is Status.APPLIED
        assert world.commits[-1].withdrawn == (permit.id,)
        assert answer(alice.one(AddVersion(permit))) == (Status.REFUSED, "withdrawn")
        assert world.paths() == {}

    def test_withdrawing_too_late_or_twice(self, world, alice):
        permit = alice.permit("one", name="plan")
        alice.one(AddVersion(permit))
        assert alice.one(Withdraw(permit.id)).status is Status.UNCHANGED
        alice.one(Withdraw("other"))
        assert alice.one(Withdraw("other")).status is Status.UNCHANGED
        assert world.paths() == {"plan": "one"}


class TestRule5RemovingWhatHasChanged:
    def test_what_was_seen_is_removed(self, world, alice, bob):
        node = alice.write("plan", "one").node
        assert bob.one(Remove(node, 1, False)).status is Status.APPLIED
        assert world.paths() == {}
        assert bob.one(Remove(node, 1, False)).status is Status.UNCHANGED

    def test_a_newer_content_stays(self, world, alice, bob):
        node = alice.write("plan", "one").node
        alice.edit(world.at("plan"), "two")
        result = bob.one(Remove(node, 1, False))
        assert (result.status, result.kept) == (Status.KEPT, (node,))
        assert world.paths() == {"plan": "two"}

    def test_ones_own_newer_content_was_seen(self, world, alice):
        node = alice.write("plan", "one").node
        alice.edit(world.at("plan"), "two")
        assert alice.one(Remove(node, 1, False)).status is Status.APPLIED

    def test_a_removal_that_its_device_has_outrun(self, world, alice):
        node = alice.write("plan", "one").node
        alice.counter += 10
        alice.edit(world.at("plan"), "two")
        assert world.submit(Remove(node, 1, False), device=alice.device, counter=5).results[0].status is Status.KEPT

    def test_an_edit_brings_back_what_someone_else_removed(self, world, alice, bob):
        alice.write("plan", "one")
        node = world.at("plan")
        bob.one(Remove(node.id, 1, False))
        result = alice.edit(node, "two")
        assert (result.status, result.node) == (Status.APPLIED, node.id)
        assert world.paths() == {"plan": "two"}
        assert world.commits[-1].changes[0].revived

    def test_it_comes_back_beside_whoever_has_its_name(self, world, alice, bob):
        alice.write("plan", "one")
        node = world.at("plan")
        bob.one(Remove(node.id, 1, False))
        bob.write("plan", "other")
        assert alice.edit(node, "two").status is Status.CONFLICT
        assert world.paths() == {"plan": "other", f"plan{MARK.format('alice-laptop')}": "two"}

    def test_the_root_stays(self, world, alice):
        assert answer(alice.one(Remove(LIBRARY, 0, True))) == (Status.REFUSED, "root")

    def test_a_folder_that_someone_else_moved_stays(self, world, alice, bob):
        docs = folder(alice, "docs")
        bob.one(Move(docs, 1, LIBRARY, "texts"))
        assert alice.one(Remove(docs, 1, True)).status is Status.KEPT
        assert world.paths() == {"texts": None}


class TestRule6RemovingFolders:
    def test_all_that_was_held_goes_at_once(self, world, alice, bob):
        docs = folder(alice, "docs")
        alice.write("plan", "one", docs)
        assert bob.one(Remove(docs, 2, True)).status is Status.APPLIED
        assert world.paths() == {}
        assert len(world.commits[-1].changes) == 1

    def test_what_came_since_stays_with_the_folders_that_lead_to_it(self, world, alice, bob):
        docs = folder(alice, "docs")
        deep = folder(alice, "deep", docs)
        alice.write("old", "old", docs)
        alice.write("older", "older", deep)
        seen = world.tree.seq
        new = alice.write("new", "new", deep)
        result = bob.one(Remove(docs, seen, True))
        assert (result.status, result.kept) == (Status.KEPT, (new.node,))
        assert world.paths() == {"docs": None, "docs/deep": None, "docs/deep/new": "new"}
        assert world.at("docs").id != docs

    def test_what_was_changed_since_stays(self, world, alice, bob):
        docs = folder(alice, "docs")
        alice.write("plan", "one", docs)
        alice.write("rest", "rest", docs)
        alice.edit(world.at("docs/plan"), "two")
        assert bob.one(Remove(docs, 3, True)).status is Status.KEPT
        assert world.paths() == {"docs": None, "docs/plan": "two"}

    def test_a_folder_that_came_since_stays_whole(self, world, alice, bob):
        docs, other = folder(alice, "docs"), folder(alice, "other")
        inside = alice.write("inside", "one", other)
        alice.one(Move(other, 3, docs, "other"))
        result = bob.one(Remove(docs, 3, True))
        assert result.kept == (other,)
        assert world.paths() == {"docs": None, "docs/other": None, "docs/other/inside": "one"}
        assert world.known_node(inside.node).seq == 3, "what is inside is not touched"

    def test_of_what_came_since_only_the_topmost_is_touched(self, world, alice, bob):
        docs = folder(alice, "docs")
        new = folder(bob, "new", docs)
        inside = bob.write("inside", "one", new)
        result = alice.one(Remove(docs, 1, True))
        assert result.kept == (new,)
        assert world.paths() == {"docs": None, "docs/new": None, "docs/new/inside": "one"}
        assert world.known_node(inside.node).seq == 3

    def test_what_its_remover_wrote_goes(self, world, alice):
        docs = folder(alice, "docs")
        alice.write("plan", "one", docs)
        assert alice.one(Remove(docs, 0, True)).status is Status.APPLIED
        assert world.paths() == {}

    def test_what_its_remover_edited_elsewhere_without_knowing_it_had_come_here_stays(self, world, alice, bob):
        docs = folder(alice, "docs")
        plan = alice.write("plan", "one")
        bob.one(Move(plan.node, 2, docs, "plan"))
        alice.edit(world.known_node(plan.node), "two")
        assert alice.one(Remove(docs, 2, True)).status is Status.KEPT
        assert world.paths() == {"docs": None, "docs/plan": "two"}

    def test_what_could_not_be_moved_out_stays(self, world, alice):
        docs = folder(alice, "docs")
        plan = alice.write("plan", "one", docs)
        moved, removed = alice.ask(Move(plan.node, 2, "nowhere", "plan"), Remove(docs, 2, True)).results
        assert answer(moved) == (Status.REFUSED, "no-such-folder")
        assert removed.kept == (plan.node,)
        assert world.paths() == {"docs": None, "docs/plan": "one"}

    def test_without_having_held_it_only_an_empty_folder_goes(self, world, alice, bob):
        docs = folder(alice, "docs")
        plan = alice.write("plan", "one", docs)
        result = bob.one(Remove(docs, 2, False))
        assert (result.status, result.kept) == (Status.KEPT, (plan.node,))
        assert [r.status for r in bob.ask(Remove(docs, 2, False), Remove(plan.node, 2, False)).results] == [
            Status.APPLIED,
            Status.APPLIED,
        ]
        assert world.paths() == {}

    def test_nested_folders_go_in_any_order(self, world, alice):
        docs = folder(alice, "docs")
        deep = folder(alice, "deep", docs)
        deeper = folder(alice, "deeper", deep)
        alice.ask(*(Remove(node, 3, False) for node in (deep, docs, deeper)))
        assert world.paths() == {}

    def test_a_base_too_old_to_look_back_to(self, world, alice, bob):
        docs = folder(alice, "docs")
        known = PartialTree(LIBRARY, 1)
        world.teach(known, [NodeFact(docs)])
        known.learn(ChangesSinceFact(0), None)
        command = Command("c", LIBRARY, "bob", bob.device, 1, 0, (Remove(docs, 0, True),))
        # Someone else made it before the base, as far as bob can tell.
        known.learn(NodeFact(docs), replace(world.known_node(docs), placed_seq=0))
        outcome = decide(known, command, {}, seq=2, now_ms=0, device_name=bob.device).outcome
        assert answer(outcome.results[0]) == (Status.REFUSED, "base-too-old")


class TestRule7Moves:
    def test_a_folder_moves_with_all_below_it_in_one_change(self, world, alice):
        docs, other = folder(alice, "docs"), folder(alice, "other")
        alice.write("plan", "one", docs)
        assert alice.one(Move(docs, 3, other, "texts")).status is Status.APPLIED
        assert world.paths() == {"other": None, "other/texts": None, "other/texts/plan": "one"}
        assert len(world.commits[-1].changes) == 1
        assert alice.one(Move(docs, 3, other, "texts")).status is Status.UNCHANGED

    def test_no_folder_moves_into_itself(self, world, alice):
        docs = folder(alice, "docs")
        deep = folder(alice, "deep", docs)
        assert answer(alice.one(Move(docs, 2, docs, "docs"))) == (Status.REFUSED, "cycle")
        assert answer(alice.one(Move(docs, 2, deep, "docs"))) == (Status.REFUSED, "cycle")

    def test_two_that_would_only_together_make_a_cycle(self, world, alice, bob):
        left, right = folder(alice, "left"), folder(alice, "right")
        assert alice.one(Move(left, 2, right, "left")).status is Status.APPLIED
        assert answer(bob.one(Move(right, 2, left, "right"))) == (Status.REFUSED, "cycle")

    def test_not_by_way_of_a_dead_folder_either(self, world, alice, bob):
        docs = folder(alice, "docs")
        deep = folder(alice, "deep", docs)
        bob.one(Remove(deep, 2, True))
        assert answer(alice.one(Move(docs, 2, deep, "docs"))) == (Status.REFUSED, "cycle")
        assert world.paths() == {"docs": None}

    def test_not_into_a_dead_folder_that_it_stands_in_for(self, world, alice):
        gone = folder(alice, "docs")
        alice.one(Remove(gone, 1, True))
        docs = folder(alice, "docs")
        assert answer(alice.one(Move(docs, 3, gone, "inner"))) == (Status.REFUSED, "cycle")
        assert world.paths() == {"docs": None}

    def test_the_first_of_two_moves_wins(self, world, alice, bob):
        plan = alice.write("plan", "one")
        bob.one(Move(plan.node, 1, LIBRARY, "bobs"))
        result = alice.one(Move(plan.node, 1, LIBRARY, "alices"))
        assert answer(result) == (Status.REFUSED, "moved-elsewhere")
        assert result.name == "bobs"

    def test_even_when_the_second_mover_edited_it_in_between(self, world, alice, bob):
        plan = alice.write("plan", "one")
        bob.one(Move(plan.node, 1, LIBRARY, "bobs"))
        alice.edit(world.at("bobs"), "two")
        assert answer(alice.one(Move(plan.node, 1, LIBRARY, "alices"))) == (Status.REFUSED, "moved-elsewhere")

    def test_a_rename_here_and_an_edit_there_both_take_effect(self, world, alice, bob):
        alice.write("plan", "one")
        node = world.at("plan")
        bob.one(Move(node.id, 1, LIBRARY, "plot"))
        assert alice.edit(node, "two").status is Status.APPLIED
        assert world.paths() == {"plot": "two"}

    def test_what_is_gone_is_not_moved(self, world, alice, bob):
        docs = folder(alice, "docs")
        plan = alice.write("plan", "one", docs)
        bob.one(Remove(docs, 2, True))
        assert answer(alice.one(Move(plan.node, 2, LIBRARY, "plan"))) == (Status.REFUSED, "gone")

    def test_what_cannot_be(self, world, alice):
        plan = alice.write("plan", "one")
        assert answer(alice.one(Move("nobody", 1, LIBRARY, "x"))) == (Status.REFUSED, "no-such-node")
        assert answer(alice.one(Move(plan.node, 1, "nowhere", "x"))) == (Status.REFUSED, "no-such-folder")
        assert answer(alice.one(Move(plan.node, 1, plan.node, "x"))) == (Status.REFUSED, "not-a-folder")
        assert answer(alice.one(Move(plan.node, 1, LIBRARY, "a/b"))) == (Status.REFUSED, "bad-name")
        assert answer(alice.one(Move(LIBRARY, 1, LIBRARY, "x"))) == (Status.REFUSED, "root")

    def test_a_path_that_would_be_too_long(self, world, alice):
        parent = LIBRARY
        for _ in range(4):
            parent = folder(alice, "x" * 250, parent)
        assert answer(alice.one(MakeFolder("new", parent, "x" * 250))) == (Status.REFUSED, "path-too-long")
        assert alice.write("y" * 250, "one", parent).status is Status.APPLIED, "bytes that landed are never refused"


class TestRule8NamesAfterTheWholeCommand:
    def test_two_files_swap_names(self, world, alice):
        a, b = alice.write("a", "one"), alice.write("b", "two")
        outcome = alice.ask(Move(a.node, 2, LIBRARY, "b"), Move(b.node, 2, LIBRARY, "a"))
        assert [r.status for r in outcome.results] == [Status.APPLIED, Status.APPLIED]
        assert world.paths() == {"a": "two", "b": "one"}

    def test_a_chain_in_either_order(self, world, alice):
        a, b = alice.write("a", "one"), alice.write("b", "two")
        alice.ask(Move(a.node, 2, LIBRARY, "b"), Move(b.node, 2, LIBRARY, "c"))
        assert world.paths() == {"b": "one", "c": "two"}
        alice.ask(Move(b.node, 3, LIBRARY, "d"), Move(a.node, 3, LIBRARY, "c"))
        assert world.paths() == {"c": "one", "d": "two"}

    def test_a_new_file_on_a_name_that_the_command_frees_later(self, world, alice):
        a = alice.write("a", "one")
        alice.ask(AddVersion(alice.permit("new", name="a")), Move(a.node, 1, LIBRARY, "b"))
        assert world.paths() == {"a": "new", "b": "one"}
        alice.ask(AddVersion(alice.permit("newer", name="b")), Remove(a.node, 2, False))
        assert world.paths() == {"a": "new", "b": "newer"}

    def test_a_name_that_was_to_become_free_and_did_not(self, world, alice, bob):
        a = alice.write("a", "one")
        alice.edit(world.at("a"), "two")
        added, removed = bob.ask(AddVersion(bob.permit("new", name="a")), Remove(a.node, 1, False)).results
        assert (added.status, removed.status) == (Status.CONFLICT, Status.KEPT)
        assert world.paths() == {"a": "two", f"a{MARK.format('bob-desktop')}": "new"}

    def test_a_folder_replaced_by_one_of_the_same_name(self, world, alice):
        docs = folder(alice, "docs")
        outcome = alice.ask(Remove(docs, 1, False), MakeFolder("new", LIBRARY, "docs"))
        assert [r.status for r in outcome.results] == [Status.APPLIED, Status.APPLIED]
        assert world.at("docs").id == "new"

    def test_who_came_by_the_command_gets_the_other_name(self, world, alice, bob):
        a = alice.write("a", "one")
        alice.write("b", "two")
        result = bob.one(Move(a.node, 2, LIBRARY, "b"))
        assert (result.status, result.name) == (Status.CONFLICT, "b" + MARK.format("bob-desktop"))
        assert result.node == a.node

    def test_a_folder_on_a_files_name(self, world, alice, bob):
        alice.write("docs", "one")
        made, _ = bob.ask(
            MakeFolder("new", LIBRARY, "docs"), AddVersion(bob.permit("two", parent="new", name="plan"))
        ).results
        assert made.status is Status.CONFLICT
        assert world.paths() == {"docs": "one", made.name: None, f"{made.name}/plan": "two"}

    def test_names_are_told_apart_by_case_and_not_by_unicode_form(self, world, alice, bob):
        alice.write("Caf\u00e9", "one")
        assert bob.write("cafe\u0301", "two").status is Status.APPLIED
        assert bob.write("Cafe\u0301", "three").status is Status.CONFLICT

    def test_there_and_back_again_is_no_change(self, world, alice):
        a = alice.write("a", "one")
        alice.ask(Move(a.node, 1, LIBRARY, "b"), Move(a.node, 1, LIBRARY, "a"))
        assert len(world.commits) == 1

    def test_many_names_that_stay_taken(self, world, alice, bob):
        """Each removal is refused only because the one before was: still every file has a place of its own."""
        files = [alice.write(f"{n}", f"old {n}") for n in range(12)]
        for n in range(12):
            alice.edit(world.at(f"{n}"), f"new {n}")
        requests = [AddVersion(bob.permit(f"bob {n}", name=f"{n}")) for n in range(12)]
        outcome = bob.ask(*requests, *(Remove(file.node, 12, False) for file in files))
        assert {r.status for r in outcome.results} == {Status.CONFLICT, Status.KEPT}
        assert len(world.contents()) == 24


class TestRule9FoldersThatAreGone:
    def test_a_new_file_gets_its_folder_back(self, world, alice, bob):
        docs = folder(alice, "docs")
        alice.write("old", "old", docs)
        bob.one(Remove(docs, 2, True))
        assert alice.write("new", "new", docs).status is Status.APPLIED
        assert world.paths() == {"docs": None, "docs/new": "new"}, "what the folder held does not come back"
        assert world.at("docs").id != docs

    def test_all_the_way_up(self, world, alice, bob):
        docs = folder(alice, "docs")
        deep = folder(alice, "deep", docs)
        bob.one(Remove(docs, 2, True))
        alice.write("new", "new", deep)
        assert world.paths() == {"docs": None, "docs/deep": None, "docs/deep/new": "new"}

    def test_only_once(self, world, alice, bob):
        docs = folder(alice, "docs")
        bob.one(Remove(docs, 1, True))
        alice.ask(*(AddVersion(alice.permit(f"{n}", parent=docs, name=f"{n}")) for n in range(3)))
        alice.write("3", "3", docs)
        assert len([path for path in world.paths() if path.startswith("docs/")]) == 4

    def test_a_folder_that_has_the_name_by_now_serves(self, world, alice, bob):
        docs = folder(alice, "docs")
        bob.one(Remove(docs, 1, True))
        other = folder(bob, "docs")
        assert alice.write("new", "new", docs).parent == other

    def test_a_file_that_has_the_name_by_now_keeps_it(self, world, alice, bob):
        docs = folder(alice, "docs")
        bob.one(Remove(docs, 1, True))
        bob.write("docs", "file")
        alice.ask(*(AddVersion(alice.permit(f"{n}", parent=docs, name=f"{n}")) for n in range(2)))
        beside = "docs" + MARK.format("alice-laptop")
        assert world.paths() == {"docs": "file", beside: None, f"{beside}/0": "0", f"{beside}/1": "1"}

    def test_an_edit_brings_a_file_and_its_folder_back(self, world, alice, bob):
        docs = folder(alice, "docs")
        plan = alice.write("plan", "one", docs)
        bob.one(Remove(docs, 2, True))
        assert alice.edit(world.known_node(plan.node), "two").node == plan.node
        assert world.paths() == {"docs": None, "docs/plan": "two"}

    def test_moves_and_folders_find_it_too(self, world, alice, bob):
        docs = folder(alice, "docs")
        plan = alice.write("plan", "one")
        bob.one(Remove(docs, 2, True))
        alice.ask(Move(plan.node, 2, docs, "plan"), MakeFolder("sub", docs, "sub"))
        assert world.paths() == {"docs": None, "docs/plan": "one", "docs/sub": None}

    def test_a_folder_that_never_was(self, world, alice):
        assert answer(alice.write("plan", "one", "nowhere")) == (Status.REFUSED, "no-such-folder")
        plan = alice.write("plan", "one")
        assert answer(alice.write("x", "two", plan.node)) == (Status.REFUSED, "not-a-folder")

    def test_made_again_under_its_old_id_it_stays_gone(self, world, alice, bob):
        docs = folder(alice, "docs")
        bob.one(Remove(docs, 1, True))
        assert answer(alice.one(MakeFolder(docs, LIBRARY, "docs"))) == (Status.REFUSED, "gone")


class TestRule10ResultsArePerChange:
    def test_one_that_is_refused_does_not_refuse_its_neighbours(self, world, alice):
        outcome = alice.ask(Move("nobody", 0, LIBRARY, "x"), AddVersion(alice.permit("one", name="plan")))
        assert [r.status for r in outcome.results] == [Status.REFUSED, Status.APPLIED]
        assert world.paths() == {"plan": "one"}

    def test_bytes_that_did_not_pass_are_refused_with_the_reason(self, world, alice):
        good, bad, lost = (alice.permit(name, name=name) for name in ("good", "bad", "lost"))
        outcome = world.submit(
            *map(AddVersion, (good, bad)), landed={bad.id: "permit-expired"}, device=alice.device, counter=9
        )
        assert [answer(r) for r in outcome.results] == [(Status.APPLIED, ""), (Status.REFUSED, "permit-expired")]
        alone = Command("c", LIBRARY, "a", alice.device, 10, 0, (AddVersion(lost),))
        assert world.decide(alone, {}).outcome.results[0].reason == "not-landed"

    def test_a_permit_for_another_library(self, world, alice):
        foreign = replace(alice.permit("one", name="plan"), library="other")
        assert answer(alice.one(AddVersion(foreign))) == (Status.REFUSED, "permit-other-library")

    @pytest.mark.parametrize("trouble", ["refused", "kept", "conflict"])
    def test_all_or_nothing(self, world, alice, bob, trouble):
        taken = alice.write("taken", "one")
        alice.edit(world.at("taken"), "two")
        before = world.paths()
        request = {
            "refused": Move("nobody", 0, LIBRARY, "x"),
            "kept": Remove(taken.node, 1, False),
            "conflict": AddVersion(bob.permit("mine", name="taken")),
        }[trouble]
        outcome = bob.ask(AddVersion(bob.permit("fine", name="fine")), request, whole=True)
        assert outcome.refused == "all-or-nothing"
        assert {answer(r) for r in outcome.results} == {(Status.REFUSED, "all-or-nothing")}
        assert [bool(r.detail) for r in outcome.results] == [False, True]
        assert world.paths() == before

    def test_all_of_it_when_nothing_is_in_the_way(self, world, alice):
        outcome = alice.ask(*(AddVersion(alice.permit(n, name=n)) for n in "ab"), whole=True)
        assert (outcome.refused, len(world.paths())) == ("", 2)

    def test_a_file_made_and_removed_at_once_is_on_record(self, world, alice):
        permit = alice.permit("one", name="plan")
        alice.ask(AddVersion(permit), Remove(permit.node, 0, False))
        assert world.paths() == {}
        assert world.commits[-1].changes[0].born
        assert alice.one(AddVersion(permit)).status is Status.UNCHANGED
        assert world.paths() == {}

    def test_two_versions_in_one_command_are_both_in_the_history(self, world, alice):
        first = alice.permit("one", name="plan")
        second = replace(alice.permit("two", node=first.node), base_version=first.id)
        alice.ask(AddVersion(first), AddVersion(second))
        assert [world.tree.version(v).version.checksum for v in (first.id, second.id)] == ["one", "two"]
        assert [change.effect for change in world.commits[-1].changes] == [Effect.ADDED, Effect.LATE]


class TestRule11Copies:
    def test_a_copy_shares_the_location(self, world, alice, bob):
        version = alice.write("plan", "one").version
        copy = bob.one(bob.copy(version, name="copy"))
        assert copy.status is Status.APPLIED
        assert world.at("copy").version.location == world.at("plan").version.location

    def test_an_old_version_is_restored(self, world, alice, bob):
        old = alice.write("plan", "one").version
        alice.edit(world.at("plan"), "two")
        node = world.at("plan")
        assert bob.one(bob.copy(old, node=node.id, base=node.version.id)).status is Status.APPLIED
        assert world.paths() == {"plan": "one"}

    def test_a_removed_file_is_restored(self, world, alice, bob):
        alice.write("plan", "one")
        node = world.at("plan")
        alice.one(Remove(node.id, 1, False))
        assert bob.one(bob.copy(node.version.id, node=node.id, base=node.version.id)).status is Status.APPLIED
        assert world.paths() == {"plan": "one"}

    def test_even_by_the_device_that_removed_it(self, world, alice):
        alice.write("plan", "one")
        node = world.at("plan")
        alice.one(Remove(node.id, 1, False))
        alice.one(alice.copy(node.version.id, node=node.id, base=node.version.id))
        assert world.paths() == {"plan": "one"}

    def test_it_is_checked_at_head(self, world, alice):
        version = alice.write("plan", "one").version
        copy = alice.copy(version, name="copy")
        assert answer(alice.one(replace(copy, source="nothing"))) == (Status.REFUSED, "no-such-version")
        assert answer(alice.one(replace(copy, checksum="other"))) == (Status.REFUSED, "source-mismatch")
        alice.one(Withdraw("gone"))
        assert answer(alice.one(replace(copy, source="gone"))) == (Status.REFUSED, "no-such-version")

    def test_content_for_a_folder(self, world, alice):
        docs = folder(alice, "docs")
        assert answer(alice.one(AddVersion(alice.permit("one", node=docs)))) == (Status.REFUSED, "not-a-file")
        assert answer(alice.one(AddVersion(alice.permit("one", node="nobody")))) == (Status.REFUSED, "no-such-file")


class TestPlacesThatNobodyChose:
    """A device that has not applied the commit cannot mean what the service put somewhere (rules 3, 5, 6, 9)."""

    def test_a_conflict_copy_in_a_folder_its_maker_does_not_know_it_in(self, world, alice, bob):
        plan = alice.write("plan", "one")
        base, shelf = world.at("plan"), folder(bob, "shelf")
        bob.one(Move(plan.node, 2, shelf, "plan"))
        bob.edit(base, "two")
        assert alice.edit(base, "three").parent == shelf
        alice.one(Remove(shelf, 2, True))
        assert set(world.contents()) == {"two", "three"}

    def test_a_new_file_in_a_stand_in(self, world, alice, bob):
        docs, shelf = folder(alice, "docs"), folder(bob, "shelf")
        bob.one(Move(docs, 2, shelf, "docs"))
        bob.one(Remove(docs, 3, True))
        alice.write("new", "new", docs)
        alice.one(Remove(shelf, 2, True))
        assert world.paths() == {"shelf": None, "shelf/docs": None, "shelf/docs/new": "new"}

    def test_a_file_that_came_back(self, world, alice, bob):
        docs, shelf = folder(alice, "docs"), folder(bob, "shelf")
        plan = alice.write("plan", "one", docs)
        bob.one(Move(docs, 3, shelf, "docs"))
        bob.one(Remove(docs, 4, True))
        alice.edit(world.known_node(plan.node), "two")
        alice.one(Remove(shelf, 3, True))
        assert world.paths() == {"shelf": None, "shelf/docs": None, "shelf/docs/plan": "two"}

    def test_what_stayed_when_its_folder_was_removed(self, world, alice, bob):
        docs = folder(alice, "docs")
        deep = folder(alice, "deep", docs)
        plan = alice.write("plan", "one")
        bob.one(Move(plan.node, 3, deep, "plan"))
        assert alice.one(Remove(deep, 3, True)).status is Status.KEPT
        assert alice.one(Remove(docs, 3, True)).status is Status.KEPT
        assert world.paths() == {"docs": None, "docs/deep": None, "docs/deep/plan": "one"}

    @pytest.mark.parametrize("new", [True, False])
    def test_a_late_upload_into_a_known_folder_that_serves_as_stand_in(self, world, alice, bob, new):
        docs, shelf = folder(alice, "docs"), folder(bob, "shelf")
        plan = alice.write("plan", "one", docs)
        late = alice.permit("two", parent=docs, name="new")
        if not new:
            late = replace(late, new=False, node=plan.node, base_version=plan.version)
        bob.one(Move(docs, 3, shelf, "docs"))
        bob.one(Remove(docs, 4, True))
        assert folder(bob, "docs", shelf) != docs
        seen = world.tree.seq
        alice.one(AddVersion(late))
        assert alice.one(Remove(shelf, seen, True)).status is Status.KEPT
        assert set(world.contents()) == {"two"}

    def test_a_stand_in_is_found_again_under_its_conflict_name(self, world, alice, bob):
        docs = folder(alice, "docs")
        bob.one(Remove(docs, 1, True))
        bob.write("docs", "file")
        first, second = alice.write("1", "1", docs), alice.write("2", "2", docs)
        assert first.parent == second.parent

    def test_and_wherever_it_has_been_moved(self, world, alice, bob):
        docs, shelf = folder(alice, "docs"), folder(alice, "shelf")
        bob.one(Remove(docs, 2, True))
        stand_in = alice.write("1", "1", docs).parent
        bob.one(Move(stand_in, world.tree.seq, shelf, "papers"))
        alice.write("2", "2", docs)
        assert {"shelf/papers/1", "shelf/papers/2"} <= world.paths().keys()

    def test_a_folder_cannot_be_moved_into_what_stands_in_for_it_or_lies_in_it(self, world, alice, bob):
        docs, other = folder(alice, "docs"), folder(alice, "other")
        bob.one(Remove(docs, 2, True))
        stand_in = alice.write("1", "1", docs).parent
        bob.one(Move(stand_in, world.tree.seq, other, "docs"))
        before = len(world.commits)
        assert answer(alice.one(Move(other, 2, docs, "other"))) == (Status.REFUSED, "cycle")
        assert len(world.commits) == before

    def test_a_stand_in_that_a_device_was_told_of_is_made_even_empty(self, world, alice, bob):
        docs = folder(alice, "docs")
        plan = alice.write("plan", "one")
        bob.one(Remove(docs, 2, True))
        made = alice.ask(
            Move(plan.node, 2, docs, "plan"), MakeFolder("new", LIBRARY, "docs"), Move(plan.node, 2, LIBRARY, "plot")
        ).results[1]
        assert made.status is Status.UNCHANGED
        assert world.at("docs").id == made.node

    def test_a_file_moved_twice_in_one_command_by_way_of_a_stand_in(self, world, alice, bob):
        docs = folder(alice, "docs")
        plan = alice.write("plan", "one")
        bob.one(Remove(docs, 2, True))
        results = alice.ask(Move(plan.node, 2, docs, "plan"), Move(plan.node, 2, LIBRARY, "plot")).results
        assert [result.status for result in results] == [Status.APPLIED, Status.APPLIED]
        assert world.paths() == {"plot": "one"}, "the stand-in that nothing is left in is not made"


def test_deciding_at_another_seq_is_a_bug(world, alice):
    command = Command("c", LIBRARY, "a", "d", 1, 0, ())
    with pytest.raises(Broken):
        decide(world.tree, command, {"p": Location("k", "v", 0, 1)}, seq=5, now_ms=0, device_name="d")
