"""Permits and credentials."""

import pytest

from services.gateway import uploads
from services.gateway.uploads import CREDENTIAL_S
from syncline.domain.permits import MAX_SEALED_BYTES, open_permit
from syncline.store.grants import GRANT_RENEWABLE_S, PERMIT_ALLOWANCE_S, Grants, hour_of
from tests.unit.gateway.world import PERMIT_KEYS, World, checksum

OTHER = "y" * 20


async def test_an_upload_gets_permits_and_one_credential_for_its_own_prefix(world: World) -> None:
    alice = await world.person("alice")
    library = await alice.library()
    body = {"intents": [alice.intent(b"x" * n, parent=library, name=f"f{n}", counter=n) for n in range(3)]}
    status, answer = await alice.ask("POST", f"/v1/libraries/{library}/uploads", body)
    assert status == 200
    grant = answer["grant"]
    (issued,) = world.credentials.issued
    assert issued.session_name == alice.device
    assert issued.write_prefixes == (f"objects/{library}/{grant}/",)
    assert issued.read_prefixes == (f"objects/{library}/", f"direct/{library}/")
    assert answer["credential"]["expires_at"] == issued.credential.expires_at
    assert abs(issued.credential.expires_at - world.clock.now_ms() // 1000 - CREDENTIAL_S) < 5
    for n, permitted in enumerate(answer["permits"]):
        permit = open_permit(permitted["permit"], PERMIT_KEYS)
        assert permitted["key"] == permit.key == f"objects/{library}/{grant}/{permit.id}"
        assert (permit.library, permit.account, permit.device) == (library, alice.account, alice.device)
        assert (permit.new, permit.parent, permit.name, permit.node) == (True, library, f"f{n}", permitted["node"])
        assert (permit.size_bytes, permit.checksum, permit.counter) == (n, checksum(b"x" * n), n)
        assert permit.expires_at == issued.credential.expires_at + PERMIT_ALLOWANCE_S
        assert permit.epoch == 1
    assert len({p["version"] for p in answer["permits"]} | {p["node"] for p in answer["permits"]}) == 6


async def test_each_grant_is_found_by_the_hour_in_which_its_credential_ends(world: World) -> None:
    alice = await world.person("alice")
    library = await alice.library()
    body = {"intents": [alice.intent(b"", parent=library, name="f")], "direct": True}
    _, answer = await alice.ask("POST", f"/v1/libraries/{library}/uploads", body)
    grants = Grants(world.tables)
    hour = hour_of(world.clock.now_ms() // 1000 + CREDENTIAL_S)
    (entry,) = [entry async for batch in grants.entries(hour) for entry in batch]
    grant = await grants.get(entry.grant)
    assert grant is not None
    assert (grant.id, grant.library, grant.device) == (answer["grant"], library, alice.device)
    assert grant.prefix == f"direct/{library}/{grant.id}/" == world.credentials.issued[0].write_prefixes[0]
    assert answer["permits"][0]["key"].startswith(grant.prefix)
    assert grant.direct


async def test_a_new_version_names_its_base(world: World) -> None:
    alice = await world.person("alice")
    library = await alice.library()
    first = await alice.put(library, "f", b"1")
    permitted = await alice.permit(library, b"2", node=first["node"], base_version=first["version"], counter=2)
    permit = open_permit(permitted["permit"], PERMIT_KEYS)
    assert (permit.node, permit.new, permit.base_version) == (first["node"], False, first["version"])
    answer = await alice.commit(library, {"op": "add", "permit": permitted["permit"]})
    assert answer["results"][0]["status"] == "applied"


async def test_the_longest_name_fits_a_permit(world: World) -> None:
    alice = await world.person("alice")
    library = await alice.library()
    body = {"intents": [alice.intent(b"", parent=library, name="\u00e9" * 127, mtime_ns=-(2**63), counter=2**63 - 1)]}
    status, answer = await alice.ask("POST", f"/v1/libraries/{library}/uploads", body)
    assert status == 200
    assert len(answer["permits"][0]["permit"]) <= MAX_SEALED_BYTES


GOOD = {"parent": OTHER, "name": "f", "size_bytes": 1, "checksum": checksum(b"x"), "mtime_ns": 0}


@pytest.mark.parametrize(
    ("change", "status", "kind"),
    [
        ({"name": ".."}, 422, "bad-name"),
        ({"name": "a/../../b"}, 422, "bad-name"),
        ({"name": "a\0b"}, 422, "bad-name"),
        ({"name": "\u00e9" * 128}, 422, "bad-name"),
        ({"name": ""}, 422, "bad-intent"),
        ({"parent": ""}, 422, "bad-intent"),
        ({"parent": "../../../../secret/"}, 422, "invalid-body"),
        ({"parent": "a" * 19 + "\n"}, 422, "bad-intent"),
        ({"node": OTHER}, 422, "bad-intent"),
        ({"base_version": OTHER}, 422, "bad-intent"),
        ({"size_bytes": -1}, 422, "invalid-body"),
        ({"size_bytes": 8 * 1024**2}, 422, "bad-intent"),
        ({"size_bytes": 6 * 1024**4, "checksum": checksum(b"x") + "-999"}, 422, "bad-intent"),
        ({"checksum": "x" * 44}, 422, "bad-intent"),
        ({"symlink": True, "executable": True}, 422, "bad-intent"),
        ({"symlink": True, "size_bytes": 0}, 422, "bad-intent"),
        ({"symlink": True, "size_bytes": 4096}, 422, "bad-intent"),
        ({"checksum": checksum(b"x") + "-1"}, 422, "bad-intent"),
        ({"mtime_ns": 2**63}, 422, "invalid-body"),
        ({"counter": 2**63}, 422, "invalid-body"),
        ({"counter": -1}, 422, "invalid-body"),
    ],
)
async def test_what_cannot_be_permitted_is_refused(
    world: World, change: dict[str, object], status: int, kind: str
) -> None:
    alice = await world.person("alice")
    library = await alice.library()
    body = {"intents": [GOOD, {**GOOD, **change}]}
    got, problem = await alice.ask("POST", f"/v1/libraries/{library}/uploads", body)
    assert (got, problem["type"].rsplit("/")[-1]) == (status, kind)
    assert problem["at"].startswith("$.intents[1]") or problem["at"].startswith("$.intents[...]")
    assert world.credentials.issued == []


async def test_batches_are_bounded(world: World) -> None:
    alice = await world.person("alice")
    library = await alice.library()
    good = {**GOOD, "parent": library}
    for count in (0, 1001):
        status, _ = await alice.ask("POST", f"/v1/libraries/{library}/uploads", {"intents": [good] * count})
        assert status == 422
    status, answer = await alice.ask("POST", f"/v1/libraries/{library}/uploads", {"intents": [good] * 1000})
    assert status == 200
    assert len({permit["key"] for permit in answer["permits"]}) == 1000


async def test_a_viewer_gets_nothing_that_writes(world: World) -> None:
    alice, bob = await world.person("alice"), await world.person("bob")
    library = await alice.library()
    await alice.share(library, bob, "viewer")
    for path, body in [
        ("uploads", {"intents": [GOOD]}),
        ("commits", {"requests": [{"op": "folder", "node": OTHER, "parent": library, "name": "x"}]}),
        (f"files/{OTHER}/versions/{OTHER}/restore", None),
    ]:
        status, problem = await bob.ask("POST", f"/v1/libraries/{library}/{path}", body)
        assert (status, problem["type"].rsplit("/")[-1]) == (403, "not-allowed")
    assert world.credentials.issued == []
    status, answer = await bob.ask("POST", f"/v1/libraries/{library}/downloads", {})
    assert status == 200
    (issued,) = world.credentials.issued
    assert issued.write_prefixes == ()
    assert issued.read_prefixes == (f"objects/{library}/", f"direct/{library}/")
    assert answer["credential"]["session_token"] == issued.credential.session_token


async def test_a_grant_is_renewed_by_its_own_device_within_a_day(world: World) -> None:
    alice, bob = await world.person("alice"), await world.person("bob")
    library, elsewhere = await alice.library(), await alice.library()
    await alice.share(library, bob, "editor")
    other_device = await world.sign_in(alice.email)
    good = {**GOOD, "parent": library}
    _, first = await alice.ask("POST", f"/v1/libraries/{library}/uploads", {"intents": [good]})
    body = {"intents": [good], "grant": first["grant"]}
    world.clock.advance(600)
    status, again = await alice.ask("POST", f"/v1/libraries/{library}/uploads", body)
    assert (status, again["grant"]) == (200, first["grant"])
    assert again["permits"][0]["key"] != first["permits"][0]["key"]
    assert world.credentials.issued[-1].write_prefixes == (f"objects/{library}/{first['grant']}/",)
    stored = await Grants(world.tables).get(first["grant"])
    assert stored is not None
    assert stored.expires_at == again["credential"]["expires_at"] > first["credential"]["expires_at"]

    refusals = [
        (bob, library, body),
        (other_device, library, body),
        (alice, elsewhere, body),
        (alice, library, {**body, "direct": True}),
        (alice, library, {**body, "grant": OTHER}),
    ]
    for person, where, asked in refusals:
        status, problem = await person.ask("POST", f"/v1/libraries/{where}/uploads", asked)
        assert (status, problem["type"].rsplit("/")[-1]) == (409, "grant-gone")
    assert len(world.credentials.issued) == 2
    world.clock.advance(GRANT_RENEWABLE_S)
    status, session, _ = await world.ask(
        "POST", "/v1/sessions/refresh", {"refresh_token": alice.session["refresh_token"]}
    )
    alice.token = session["access_token"]
    status, problem = await alice.ask("POST", f"/v1/libraries/{library}/uploads", body)
    assert (status, problem["type"].rsplit("/")[-1]) == (409, "grant-gone")


async def test_credentials_are_limited_per_device(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from services.gateway import limits

    monkeypatch.setattr(limits, "CREDENTIALS_PER_DEVICE", (2, 10_000_000))
    alice = await world.person("alice")
    library = await alice.library()
    statuses = [(await alice.ask("POST", f"/v1/libraries/{library}/downloads", {}))[0] for _ in range(3)]
    assert statuses == [200, 200, 429]
    assert uploads.CREDENTIAL_S == 900


@pytest.mark.parametrize("meant", ["parent", "node"])
async def test_bytes_are_permitted_only_for_what_is_or_was_there(world: World, meant: str) -> None:
    alice = await world.person("alice")
    library = await alice.library()
    folder, removed = world.new_id(), world.new_id()
    await alice.commit(library, {"op": "folder", "node": folder, "parent": library, "name": "papers"})
    await alice.commit(library, {"op": "folder", "node": removed, "parent": library, "name": "gone"})
    await alice.commit(library, {"op": "remove", "node": removed, "base_seq": 2, "held_all": True})
    known = [alice.intent(b"x", parent=parent, name="x") for parent in (library, folder, removed)]
    status, _ = await alice.ask("POST", f"/v1/libraries/{library}/uploads", {"intents": known})
    assert status == 200
    where = {"parent": world.new_id(), "name": "x"} if meant == "parent" else {"node": world.new_id()}
    body = {"intents": [*known, alice.intent(b"x", **where)]}
    status, problem = await alice.ask("POST", f"/v1/libraries/{library}/uploads", body)
    assert (status, problem["at"]) == (404, "$.intents[3]")
    assert problem["type"].endswith("/no-such-node")
