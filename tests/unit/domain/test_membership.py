"""What a follower is told of a library's members."""

from __future__ import annotations

from hypothesis import given, strategies as st

from syncline.domain.membership import MemberChange, Membership, fold_members, is_news
from syncline.domain.rights import Role

E, V = Role.EDITOR, Role.VIEWER


def test_what_became_of_each_member_is_told_once_with_who_did_it() -> None:
    changes = [
        MemberChange("ann", "bob", "", None, V),
        MemberChange("ann", "cy", "", None, E),
        MemberChange("dan", "bob", "", V, E),
        MemberChange("ann", "", "sales", None, V),
        MemberChange("ann", "bob", "sales", None, V),
    ]
    assert fold_members(changes, "eve") == [
        Membership("bob", "", None, E, ("ann", "dan")),
        Membership("cy", "", None, E, ("ann",)),
        Membership("", "sales", None, V, ("ann",)),
        Membership("bob", "sales", None, V, ("ann",)),
    ]


def test_own_deeds_are_told_of_only_in_what_became_of_it() -> None:
    changes = [MemberChange("ann", "bob", "", V, E), MemberChange("eve", "bob", "", E, Role.OWNER)]
    assert fold_members(changes, "eve") == [Membership("bob", "", V, Role.OWNER, ("ann",))]


def test_not_told_are_own_deeds_own_joining_and_what_was_taken_back() -> None:
    assert fold_members([MemberChange("ann", "bob", "", None, V)], "ann") == []
    assert fold_members([MemberChange("ann", "bob", "", None, V)], "bob") == []
    assert fold_members([MemberChange("ann", "bob", "", V, E)], "bob") == [Membership("bob", "", V, E, ("ann",))]
    assert fold_members([MemberChange("ann", "b", "", V, None), MemberChange("b", "b", "", None, V)], "cy") == []


@st.composite
def histories(draw: st.DrawFn) -> list[MemberChange]:
    """Changes as a library makes them: each begins where the one before left the member."""
    roles: dict[tuple[str, str], Role | None] = {}
    made = []
    for _ in range(draw(st.integers(0, 12))):
        who = draw(st.tuples(st.sampled_from(["a", "b", ""]), st.sampled_from(["", "g"])))
        before = roles.get(who)
        after = draw(st.sampled_from([role for role in (None, *Role) if role is not before]))
        made.append(MemberChange(draw(st.sampled_from(["a", "b", "x", ""])), *who, before, after))
        roles[who] = after
    return made


@given(histories(), st.sampled_from(["a", "b", "x"]))
def test_whatever_happens_the_first_and_the_last_state_are_told(changes: list[MemberChange], follower: str) -> None:
    told = fold_members(changes, follower)
    assert len({(one.account, one.group) for one in told}) == len(told)
    for one in told:
        its = [change for change in changes if (change.account, change.group) == (one.account, one.group)]
        assert (its[0].before, its[-1].after) == (one.before, one.after)
        assert one.before is not one.after
        assert not (one.account == follower and one.before is None)
        assert set(one.by) == {change.by for change in its if is_news(change, follower)}
        assert follower not in one.by
