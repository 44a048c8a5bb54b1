"""Groups: their members have what the group has, from the answer on and until the answer."""

from __future__ import annotations

import pytest

from tests.unit.gateway.mailroom import refused
from tests.unit.gateway.world import Person, World


async def make(owner: Person, name: str = "Designers") -> str:
    status, group = await owner.ask("POST", "/v1/groups", {"name": name})
    assert status == 201
    return str(group["id"])


async def add(owner: Person, group: str, who: Person) -> None:
    assert (await owner.ask("POST", f"/v1/groups/{group}/members", {"email": who.email}))[0] == 200


async def share(owner: Person, library: str, group: str, role: str) -> None:
    assert (await owner.ask("PUT", f"/v1/libraries/{library}/groups/{group}", {"role": role}))[0] == 200


async def role_of(who: Person, library: str) -> str:
    status, got = await who.ask("GET", f"/v1/libraries/{library}")
    return str(got["role"]) if status == 200 else ""


@pytest.mark.parametrize("cache_away", [False, True])
async def test_members_of_a_group_come_and_go_with_it(world: World, cache_away: bool) -> None:
    alice, bob = await world.person("alice"), await world.person("bob")
    library, group = await alice.library(), await make(alice)
    world.cache.away = cache_away
    await add(alice, group, bob)
    assert await role_of(bob, library) == ""
    await share(alice, library, group, "viewer")
    assert await role_of(bob, library) == "viewer"
    await share(alice, library, group, "editor")
    assert await role_of(bob, library) == "editor"
    _, listed = await bob.ask("GET", "/v1/libraries")
    assert [(one["id"], one["role"]) for one in listed["libraries"]] == [(library, "editor")]
    assert (await alice.ask("DELETE", f"/v1/groups/{group}/members/{bob.account}"))[0] == 204
    assert await role_of(bob, library) == ""
    await add(alice, group, bob)
    assert await role_of(bob, library) == "editor"
    assert (await alice.ask("DELETE", f"/v1/libraries/{library}/groups/{group}"))[0] == 204
    assert await role_of(bob, library) == ""
    _, listed = await bob.ask("GET", "/v1/libraries")
    assert listed == {"libraries": []}


@pytest.mark.parametrize(
    ("own", "through", "effective"),
    [
        ("viewer", "editor", "editor"),
        ("editor", "viewer", "editor"),
        ("owner", "viewer", "owner"),
        ("viewer", "owner", "owner"),
    ],
)
async def test_the_highest_role_counts(world: World, own: str, through: str, effective: str) -> None:
    alice, bob = await world.person("alice"), await world.person("bob")
    library, group, other = await alice.library(), await make(alice), await make(alice, "Others")
    await alice.share(library, bob, own)
    await add(alice, group, bob)
    await add(alice, other, bob)
    await share(alice, library, group, through)
    await share(alice, library, other, "viewer")
    assert await role_of(bob, library) == effective
    # What is left when the group goes is their own.
    assert (await alice.ask("DELETE", f"/v1/groups/{group}"))[0] == 204
    assert await role_of(bob, library) == own


async def test_members_through_groups_are_listed(world: World) -> None:
    alice, bob = await world.person("alice"), await world.person("bob")
    library, group = await alice.library(), await make(alice)
    await add(alice, group, bob)
    await share(alice, library, group, "editor")
    _, listed = await bob.ask("GET", f"/v1/libraries/{library}/members")
    members = {one["email"]: (one["role"], one["direct"], one["groups"]) for one in listed["members"]}
    assert members == {alice.email: ("owner", True, []), bob.email: ("editor", False, ["Designers"])}
    assert listed["groups"] == [{"group": group, "name": "Designers", "role": "editor"}]


async def test_who_is_a_member_through_a_group_is_not_removed_from_the_library_alone(world: World) -> None:
    alice, bob = await world.person("alice"), await world.person("bob")
    library, group = await alice.library(), await make(alice)
    await add(alice, group, bob)
    await share(alice, library, group, "editor")
    path = f"/v1/libraries/{library}/members/{bob.account}"
    assert await refused(alice, "DELETE", path) == (409, "member-by-group")


async def test_a_library_keeps_an_owner_of_its_own(world: World) -> None:
    """Or whoever empties the group would leave it to nobody."""
    alice, bob = await world.person("alice"), await world.person("bob")
    library, group = await alice.library(), await make(bob)
    await add(bob, group, alice)
    await share(alice, library, group, "owner")
    path = f"/v1/libraries/{library}/members/{alice.account}"
    assert await refused(alice, "DELETE", path) == (409, "last-owner")


async def test_a_group_is_its_owner_s_and_shows_itself_to_members_only(world: World) -> None:
    alice, bob, carol = [await world.person(name) for name in ("alice", "bob", "carol")]
    group = await make(alice)
    await add(alice, group, bob)
    _, seen = await bob.ask("GET", f"/v1/groups/{group}")
    assert [one["email"] for one in seen["members"]] == [bob.email]
    assert not seen["group"]["owned"]
    for method, path, body in [
        ("GET", f"/v1/groups/{group}", None),
        ("POST", f"/v1/groups/{group}/members", {"email": carol.email}),
        ("DELETE", f"/v1/groups/{group}", None),
        ("DELETE", f"/v1/groups/{group}/members/{alice.account}", None),
    ]:
        assert await refused(carol, method, path, body) == (404, "no-such-group")
        if method != "GET":
            assert await refused(bob, method, path, body) == (403, "not-allowed")
    _, of_carol = await carol.ask("GET", "/v1/groups")
    assert of_carol == {"groups": []}
    assert (await bob.ask("DELETE", f"/v1/groups/{group}/members/{bob.account}"))[0] == 204, "anyone may leave"
    assert (await bob.ask("GET", f"/v1/groups/{group}"))[0] == 404


async def test_nobody_shares_with_a_group_they_have_nothing_to_do_with(world: World) -> None:
    alice, bob = await world.person("alice"), await world.person("bob")
    group = await make(alice)
    library = await bob.library()
    path = f"/v1/libraries/{library}/groups/{group}"
    assert await refused(bob, "PUT", path, {"role": "viewer"}) == (404, "no-such-group")
    assert await refused(alice, "PUT", path, {"role": "viewer"}) == (404, "no-such-library")
    await bob.share(library, alice, "editor")
    assert await refused(alice, "PUT", path, {"role": "viewer"}) == (403, "not-allowed")


async def test_strangers_are_not_taken_in(world: World) -> None:
    alice = await world.person("alice")
    group = await make(alice)
    body = {"email": "nobody@example.org"}
    assert await refused(alice, "POST", f"/v1/groups/{group}/members", body) == (404, "no-such-account")
    path = f"/v1/groups/{group}/members/{alice.account}"
    assert await refused(alice, "DELETE", path) == (404, "no-such-member")


async def test_ownership_is_handed_over_in_one_moment(world: World) -> None:
    alice, bob = await world.person("alice"), await world.person("bob")
    library = await alice.library()
    path = f"/v1/libraries/{library}/transfer"
    assert await refused(alice, "POST", path, {"email": "nobody@example.org"}) == (404, "no-such-account")
    status, member = await alice.ask("POST", path, {"email": bob.email})
    assert (status, member["role"]) == (200, "owner")
    assert await role_of(alice, library) == "editor"
    assert await refused(alice, "POST", path, {"email": alice.email}) == (403, "not-allowed")
    assert (await bob.ask("POST", path, {"email": alice.email, "keep": None}))[0] == 200
    assert await role_of(bob, library) == ""
    assert await role_of(alice, library) == "owner"


async def test_who_owns_a_library_through_a_group_alone_cannot_hand_it_over(world: World) -> None:
    alice, bob, carol = [await world.person(name) for name in ("alice", "bob", "carol")]
    library, group = await alice.library(), await make(alice)
    await add(alice, group, bob)
    await share(alice, library, group, "owner")
    body = {"email": carol.email}
    assert await refused(bob, "POST", f"/v1/libraries/{library}/transfer", body) == (403, "not-allowed")
    assert await role_of(carol, library) == ""
    assert await role_of(alice, library) == "owner"
