"""Libraries, members, and what strangers learn of them."""

import pytest

from tests.unit.gateway.world import World

ABSENT = "z" * 20


async def test_a_library_starts_empty_with_its_maker_as_owner(world: World) -> None:
    alice = await world.person("alice")
    library = await alice.library("Papers")
    _, got = await alice.ask("GET", f"/v1/libraries/{library}")
    assert (got["name"], got["role"], got["seq"]) == ("Papers", "owner", 0)
    _, root = await alice.ask("GET", f"/v1/libraries/{library}/nodes/{library}")
    assert (root["kind"], root["path"]) == ("folder", "")
    _, children = await alice.ask("GET", f"/v1/libraries/{library}/folders/{library}/children")
    assert children == {"children": [], "after": ""}


async def test_everyone_sees_their_own_libraries(world: World) -> None:
    alice, bob = await world.person("alice"), await world.person("bob")
    shared, own = await alice.library("Shared"), await alice.library("Own")
    await alice.share(shared, bob, "viewer")
    _, of_bob = await bob.ask("GET", "/v1/libraries")
    assert [(lib["id"], lib["role"]) for lib in of_bob["libraries"]] == [(shared, "viewer")]
    _, of_alice = await alice.ask("GET", "/v1/libraries")
    assert {lib["id"] for lib in of_alice["libraries"]} == {shared, own}


async def test_members_are_listed_with_names_and_roles(world: World) -> None:
    alice, bob = await world.person("alice"), await world.person("bob")
    library = await alice.library()
    await alice.share(library, bob, "viewer")
    await alice.share(library, bob, "editor")
    _, got = await bob.ask("GET", f"/v1/libraries/{library}/members")
    assert {(m["email"], m["name"], m["role"]) for m in got["members"]} == {
        ("alice@example.org", "alice", "owner"),
        ("bob@example.org", "bob", "editor"),
    }


INTENT = {"parent": ABSENT, "name": "x", "size_bytes": 0, "checksum": "x" * 44, "mtime_ns": 0}
PATHS = [
    ("GET", "", None),
    ("GET", "/members", None),
    ("POST", "/members", {"email": "a@b", "role": "viewer"}),
    ("DELETE", f"/members/{ABSENT}", None),
    ("GET", "/invitations", None),
    ("DELETE", f"/invitations/{ABSENT}", None),
    ("POST", "/transfer", {"email": "a@b"}),
    ("POST", "/uploads", {"intents": [INTENT]}),
    ("POST", "/downloads", {}),
    ("POST", "/commits", {"requests": [{"op": "folder", "node": ABSENT, "parent": ABSENT, "name": "x"}]}),
    ("GET", f"/commits/{ABSENT}", None),
    ("GET", f"/files/{ABSENT}/content", None),
    ("GET", f"/folders/{ABSENT}/children", None),
    ("GET", f"/nodes/{ABSENT}", None),
    ("GET", "/nodes?path=a", None),
    ("GET", f"/files/{ABSENT}/versions", None),
    ("POST", f"/files/{ABSENT}/versions/{ABSENT}/restore", None),
    ("PUT", f"/follows/{ABSENT}", None),
    ("DELETE", f"/follows/{ABSENT}", None),
    ("GET", "/followers", None),
    ("POST", "/followers", {"email": "a@b", "node": ABSENT}),
    ("DELETE", f"/followers/{ABSENT}", None),
    ("PUT", "/outside", {"links": True}),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path", "body"), PATHS)
async def test_a_stranger_learns_nothing(world: World, method: str, path: str, body: object) -> None:
    alice, mallory = await world.person("alice"), await world.person("mallory")
    library = await alice.library()
    answers = []
    for asked in (library, ABSENT, "..", "x" * 300):
        status, problem = await mallory.ask(method, f"/v1/libraries/{asked}{path}", body)
        answers.append((status, problem.get("type"), problem.get("detail")))
    assert answers[0] == answers[1]
    assert answers[0][:2] == (404, "http://syncline.test/problems/no-such-library")
    assert {answer[0] for answer in answers} == {404}
    status, problem, _ = await world.ask(method, f"/v1/libraries/{library}{path}", body)
    assert (status, problem["type"].rsplit("/")[-1]) == (401, "not-signed-in")


@pytest.mark.parametrize("cache_away", [False, True])
async def test_a_removed_member_is_refused_at_once(world: World, cache_away: bool) -> None:
    alice, bob = await world.person("alice"), await world.person("bob")
    library = await alice.library()
    await alice.share(library, bob, "editor")
    world.cache.away = cache_away
    assert (await bob.ask("GET", f"/v1/libraries/{library}"))[0] == 200
    assert (await alice.ask("DELETE", f"/v1/libraries/{library}/members/{bob.account}"))[0] == 204
    for method, path, body in PATHS:
        assert (await bob.ask(method, f"/v1/libraries/{library}{path}", body))[0] == 404


async def test_a_member_made_viewer_cannot_write_any_more(world: World) -> None:
    alice, bob = await world.person("alice"), await world.person("bob")
    library = await alice.library()
    await alice.share(library, bob, "editor")
    await bob.put(library, "a", b"a")
    await alice.share(library, bob, "viewer")
    body = {"intents": [bob.intent(b"b", parent=library, name="b")]}
    status, problem = await bob.ask("POST", f"/v1/libraries/{library}/uploads", body)
    assert (status, problem["type"].rsplit("/")[-1]) == (403, "not-allowed")


async def test_only_owners_govern(world: World) -> None:
    alice, bob, carol = [await world.person(name) for name in ("alice", "bob", "carol")]
    library = await alice.library()
    await alice.share(library, bob, "editor")
    status, _ = await bob.ask("POST", f"/v1/libraries/{library}/members", {"email": carol.email, "role": "viewer"})
    assert status == 403
    assert (await bob.ask("DELETE", f"/v1/libraries/{library}/members/{alice.account}"))[0] == 403
    assert (await bob.ask("DELETE", f"/v1/libraries/{library}/members/{bob.account}"))[0] == 204
    assert (await bob.ask("GET", f"/v1/libraries/{library}"))[0] == 404


async def test_the_last_owner_stays(world: World) -> None:
    alice = await world.person("alice")
    library = await alice.library()
    status, problem = await alice.ask("DELETE", f"/v1/libraries/{library}/members/{alice.account}")
    assert (status, problem["type"].rsplit("/")[-1]) == (409, "last-owner")
    body = {"email": alice.email, "role": "viewer"}
    assert (await alice.ask("POST", f"/v1/libraries/{library}/members", body))[0] == 409


async def test_who_is_removed_must_be_a_member(world: World) -> None:
    alice, bob = await world.person("alice"), await world.person("bob")
    library = await alice.library()
    status, problem = await alice.ask("DELETE", f"/v1/libraries/{library}/members/{bob.account}")
    assert (status, problem["type"].rsplit("/")[-1]) == (404, "no-such-member")
