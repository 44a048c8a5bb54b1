"""An account is removed; what it shared, and what it wrote, is not lost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer
from argon2 import PasswordHasher

from services.gateway.app import Keys, Ports, make_gateway
from services.gateway.passwords import Passwords
from syncline.domain.errors import Temporary
from syncline.domain.rights import Role
from syncline.memory.tables import MemoryTables
from syncline.ports.tables import Table, Write
from syncline.store.directory import Directory
from syncline.store.directory_rows import device_key
from syncline.store.follows import Follows
from syncline.store.groups import Groups
from syncline.store.suppressions import Suppressions
from syncline.store.usage import Usage
from tests.unit.gateway.mailroom import Mailroom, refused, sign_in
from tests.unit.gateway.world import LINK_KEYS, PASSWORD, PERMIT_KEYS, TOKEN_KEYS, Person, World

HASHER = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
GO = {"password": PASSWORD}


async def go(who: Person, **more: str) -> tuple[int, Any]:
    return await who.ask("POST", "/v1/me/removal", {**GO, **more})


async def test_a_removed_account_is_gone_and_its_work_stays(world: World) -> None:
    alice, bob = await world.person("alice"), await world.person("bob")
    library = await alice.library("Shared")
    await alice.share(library, bob, "owner")
    put = await alice.put(library, "plan.txt", b"0")
    other = await world.sign_in(alice.email)
    assert (await alice.ask("PUT", f"/v1/libraries/{library}/follows/{library}"))[0] == 200
    assert (await go(alice))[0] == 204
    for device in (alice, other):
        assert await refused(device, "GET", "/v1/me") == (401, "device-revoked")
    assert await sign_in(world, alice.email) == (401, "sign-in-failed")
    assert await Follows(world.tables).of_account(alice.account) == []
    _, members = await bob.ask("GET", f"/v1/libraries/{library}/members")
    assert [one["email"] for one in members["members"]] == [bob.email]
    # The version is there, and says by whose id it was written.
    _, versions = await bob.ask("GET", f"/v1/libraries/{library}/files/{put['node']}/versions")
    assert [one["account"] for one in versions["versions"]] == [alice.account]
    # The address is free, for another account.
    again = await world.person("alice")
    assert again.account != alice.account
    assert (await again.ask("GET", f"/v1/libraries/{library}"))[0] == 404
    mail = Mailroom(world)
    assert "was removed" in str((await mail.last("alice@example.org"))["Subject"])


async def test_nothing_that_tells_who_it_was_stays_in_the_tables(world: World) -> None:
    """But what must: the audit log, that mail to the address failed, and hashes that end by themselves."""
    alice, bob = await world.person("alice"), await world.person("bob")
    library = await alice.library("Shared")
    await alice.share(library, bob, "owner")
    await alice.put(library, "plan.txt", b"0")
    await alice.put(library, "more.txt", b"1")
    (group,) = [(await bob.ask("POST", "/v1/groups", {"name": "G"}))[1]["id"]]
    await bob.ask("POST", f"/v1/groups/{group}/members", {"email": alice.email})
    await alice.ask("PUT", f"/v1/libraries/{library}/follows/{library}")
    await alice.ask("PUT", "/v1/me/mail", {"window": "daily", "hour": 7, "language": "de"})
    await alice.ask("POST", "/v1/me/address", {"email": "alicia@example.org", "password": PASSWORD})
    await alice.ask("POST", f"/v1/libraries/{library}/members", {"email": "carol@example.org", "role": "viewer"})
    await Usage(world.tables).set_account_quota(alice.account, 1_000)
    await Suppressions(world.tables, world.clock).add(alice.email, "bounce")
    laptop, old = await world.sign_in(alice.email), await world.sign_in(alice.email)
    assert (await alice.ask("DELETE", f"/v1/devices/{old.device}"))[0] == 204
    await Mailroom(world).deliver()
    assert (await go(alice))[0] == 204
    assert rows_naming(world, "alice@example.org", "Alice", "alicia@example.org") == {
        (Table.AUDIT, "account"),
        (Table.AUDIT, "email"),
        (Table.MAIL, "suppressed"),
        # How many letters went to the address this hour.
        (Table.MAIL, "letters"),
    }
    by_id = rows_naming(world, alice.account)
    assert by_id - {(Table.AUDIT, of) for of in ("account", "email", "library", "group", "stack")} == {
        # A mark of a removed account, so that nobody becomes a member by this id again.
        (Table.DIRECTORY, "account"),
        # Who wrote a version, and under which grant; who invited; who came and went, until followers were told.
        (Table.JOURNAL, "journal"),
        (Table.VIEWS, "node"),
        (Table.VIEWS, "folder"),
        (Table.VIEWS, "version"),
        (Table.DIRECTORY, "grant"),
        (Table.DIRECTORY, "invitation"),
        (Table.DIRECTORY, "memberchanges"),
        # What is due for archiving, until it is archived.
        (Table.DIRECTORY, "archive"),
        # A device signed out by itself: goes in 90 days.
        (Table.DIRECTORY, "device"),
    }
    directory = Directory(world.tables)
    assert [await directory.device(one.device) for one in (alice, laptop)] == [None, None]
    signed_out = await world.tables.get(Table.DIRECTORY, device_key(old.device))
    assert signed_out is not None
    assert "expires_at" in signed_out
    left = [sk for (of, pk), rows in partitions(world) if (of, pk) == (Table.DIRECTORY, f"account#{alice.account}")
            for sk in rows]  # fmt: skip
    assert left == ["account"]


def partitions(world: World) -> list[tuple[tuple[Table, str], dict[str, Any]]]:
    return [(key, partition.rows) for key, partition in world.tables._partitions.items()]


def rows_naming(world: World, *words: str) -> set[tuple[Table, str]]:
    """The tables and kinds of partition in which one of the words stands."""
    return {
        (table, pk.partition("#")[0])
        for (table, pk), rows in partitions(world)
        for sk, row in rows.items()
        if any(word in f"{pk} {sk} {row}" for word in words)
    }


async def test_what_would_be_left_to_nobody_holds_it_up(world: World) -> None:
    alice, bob = await world.person("alice"), await world.person("bob")
    mine, shared = await alice.library("Mine"), await alice.library("Shared")
    await alice.share(shared, bob, "owner")
    _, group = await alice.ask("POST", "/v1/groups", {"name": "G"})
    status, problem = await go(alice)
    assert (status, problem["type"].rsplit("/")[-1]) == (409, "still-owns")
    assert problem["libraries"] == [{"id": mine, "name": "Mine"}]
    assert problem["groups"] == [{"id": group["id"], "name": "G"}]
    assert (await alice.ask("GET", f"/v1/libraries/{shared}"))[0] == 200, "nothing was done"


async def test_it_goes_to_an_heir(world: World) -> None:
    alice, bob, carol = [await world.person(name) for name in ("alice", "bob", "carol")]
    mine = await alice.library("Mine")
    await alice.put(mine, "a", b"a")
    await alice.share(mine, bob, "viewer")
    _, group = await alice.ask("POST", "/v1/groups", {"name": "G"})
    await alice.ask("POST", f"/v1/groups/{group['id']}/members", {"email": carol.email})
    for nobody in ("nobody@example.org", alice.email):
        assert (await go(alice, hand_to=nobody))[0] == 404
    assert (await go(alice, hand_to=bob.email))[0] == 204
    _, got = await bob.ask("GET", f"/v1/libraries/{mine}")
    assert got["role"] == "owner"
    _, groups = await bob.ask("GET", "/v1/groups")
    assert [(one["id"], one["owned"], one["members"]) for one in groups["groups"]] == [(group["id"], True, 1)]
    assert (await bob.ask("DELETE", f"/v1/groups/{group['id']}"))[0] == 204


async def test_it_takes_the_password(world: World) -> None:
    alice = await world.person("alice")
    assert await refused(alice, "POST", "/v1/me/removal", {"password": "wrong"}) == (403, "wrong-password")
    assert (await alice.ask("GET", "/v1/me"))[0] == 200


async def test_a_removed_account_becomes_no_member_any_more(world: World) -> None:
    """Whoever adds it in the very moment, from another instance, adds nobody."""
    alice, bob = await world.person("alice"), await world.person("bob")
    library = await bob.library()
    group = (await bob.ask("POST", "/v1/groups", {"name": "G"}))[1]["id"]
    assert (await go(alice))[0] == 204
    directory, groups = Directory(world.tables), Groups(world.tables)
    for adding in (
        directory.set_member(library, alice.account, Role.EDITOR),
        directory.transfer(library, bob.account, alice.account),
        groups.add(group, alice.account, at_ms=0),
    ):
        with pytest.raises(Exception, match="no such account"):
            await adding
    assert await directory.member(library, alice.account) is None


class Stopping(MemoryTables):
    """Refuses the ``at``-th write and every later one, as long as ``on``."""

    def __init__(self, of: MemoryTables, at: int) -> None:
        super().__init__()
        self._partitions = of._partitions
        self.at = at
        self.on = True

    def _strike(self) -> None:
        self.at -= 1
        if self.on and self.at < 0:
            raise Temporary("the table is away")

    async def write(self, operation: Write) -> None:
        self._strike()
        await super().write(operation)

    async def transact(self, operations: Sequence[Any]) -> None:
        self._strike()
        await super().transact(operations)


@pytest.mark.parametrize("at", range(3, 14))
async def test_a_removal_cut_short_goes_on_when_asked_again(world: World, at: int) -> None:
    """Wherever it stops, no library is without an owner, and the second request finishes."""
    alice, bob = await world.person("alice"), await world.person("bob")
    libraries = [await alice.library(f"L{n}") for n in range(3)]
    group = (await bob.ask("POST", "/v1/groups", {"name": "G"}))[1]["id"]
    await bob.ask("POST", f"/v1/groups/{group}/members", {"email": alice.email})
    tables = Stopping(world.tables, at)
    ports = Ports(tables, world.objects, world.queues, world.cache, world.credentials, world.clock)
    app = make_gateway(ports, Keys(PERMIT_KEYS, TOKEN_KEYS, LINK_KEYS), public_url="", passwords=Passwords(HASHER))
    body = {"password": PASSWORD, "hand_to": bob.email}
    headers = {"Authorization": f"Bearer {alice.token}"}
    async with TestClient(TestServer(app)) as client:
        first = await client.post("/v1/me/removal", json=body, headers=headers)
        directory = Directory(world.tables)
        for library in libraries:
            owners = [one for one in await directory.members(library) if one.role is Role.OWNER]
            assert owners, f"{library} is nobody's"
        tables.on = False
        if first.status != 204 and await directory.account(alice.account) is not None:
            second = await client.post("/v1/me/removal", json=body, headers=headers)
            assert second.status == 204, await second.text()
    assert await Directory(world.tables).account(alice.account) is None
    assert await Directory(world.tables).direct_roles(alice.account) == {}
    for library in libraries:
        assert await Directory(world.tables).member(library, bob.account) is Role.OWNER
