"""The operator lists, shows, makes, locks and removes accounts."""

from __future__ import annotations

import asyncio
import json

import pytest
from aiohttp.test_utils import TestClient, TestServer

from services.gateway import app as gateway
from syncline.admin.answers import Exit
from syncline.admin.app import run
from syncline.domain.capabilities import ResetCapability, account_stamp, seal_capability
from syncline.domain.rights import Role
from syncline.memory.credentials import MemoryCredentials
from syncline.store.directory import AccountRecord, GroupRecord
from syncline.store.groups import Groups
from tests.unit.admin.test_records import ask, begun
from tests.unit.admin.world import Operated
from tests.unit.gateway.world import LINK_KEYS, PERMIT_KEYS, TOKEN_KEYS
from tests.unit.metadata.world import ALICE, BOB, LAPTOP, LIBRARY

CAROL = "c" * 20
GROUP = "m" * 20


def refused(world: Operated, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    capsys.readouterr()
    code = run(world.open_ports, [*words, "--json"])
    return code, json.loads(capsys.readouterr().err)["kind"]


def actions(world: Operated, capsys: pytest.CaptureFixture[str], account: str) -> list[str]:
    return [one["action"] for one in ask(world, capsys, "audit", "--account", account)["entries"]]


def with_carol() -> Operated:
    """Carol shares the library through a group of alice's."""
    world = begun()

    async def begin() -> None:
        await world.directory.create_account(AccountRecord(CAROL, "carol@example.org", "carol", "hash", 1))
        groups = Groups(world.tables)
        await groups.create(GroupRecord(GROUP, "readers", ALICE, 1))
        await groups.add(GROUP, CAROL, at_ms=1)
        await groups.share(LIBRARY, GROUP, Role.VIEWER)
        await world.archive()

    asyncio.run(begin())
    return world


def test_accounts_that_share_libraries_are_listed_up_to_a_limit(capsys: pytest.CaptureFixture[str]):
    world = with_carol()
    for words in ((), ("--library", LIBRARY)):
        listed = ask(world, capsys, "accounts", "list", *words)["accounts"]
        assert [one["id"] for one in listed] == [ALICE, BOB, CAROL]
    assert len(ask(world, capsys, "accounts", "list", "--limit", "2")["accounts"]) == 2
    assert refused(world, capsys, "accounts", "list", "--library", "x" * 20) == (Exit.REFUSED, "not-found")


@pytest.mark.parametrize("name", [CAROL, " Carol@example.org"])
def test_an_account_is_found_by_its_id_and_its_address(capsys: pytest.CaptureFixture[str], name: str):
    shown = ask(with_carol(), capsys, "accounts", "show", name)
    assert (shown["id"], shown["email"], shown["has_password"]) == (CAROL, "carol@example.org", True)
    assert shown["libraries"] == [{"id": LIBRARY, "name": "Papers", "role": "viewer"}]
    assert [one["name"] for one in shown["groups"]] == ["readers"]


def test_what_is_shown_holds_no_hash(capsys: pytest.CaptureFixture[str]):
    assert "hash" not in json.dumps(ask(begun(), capsys, "accounts", "show", ALICE))


def test_an_account_is_made_without_a_password_and_once(capsys: pytest.CaptureFixture[str]):
    world = begun()
    made = ask(world, capsys, "accounts", "create", "Zoe@Example.org", "--name", "Zoe")
    shown = ask(world, capsys, "accounts", "show", "zoe@example.org")
    assert (shown["id"], shown["has_password"], shown["name"]) == (made["id"], False, "Zoe")
    assert refused(world, capsys, "accounts", "create", "zoe@example.org", "--name", "Z") == (1, "email-taken")
    assert refused(world, capsys, "accounts", "create", "nobody", "--name", "Z") == (1, "invalid-body")
    assert actions(world, capsys, made["id"]) == ["account.create"]


def test_a_locked_account_has_no_password_and_no_device(capsys: pytest.CaptureFixture[str]):
    world = begun()
    assert ask(world, capsys, "accounts", "lock", "alice@example.org")["devices_signed_out"] == 1
    shown = ask(world, capsys, "accounts", "show", ALICE)
    assert (shown["has_password"], shown["devices"]) == (False, [])
    assert asyncio.run(world.directory.signed_in(ALICE, LAPTOP)) is None
    assert [one["role"] for one in shown["libraries"]] == ["owner"]
    assert actions(world, capsys, ALICE) == ["account.lock"]


def test_a_link_to_a_new_password_from_before_the_locking_works_no_more():
    world = begun()
    account = asyncio.run(world.directory.account(ALICE))
    assert account is not None
    ends_at = world.clock.now_ms() // 1000 + 3_600
    stamp = account_stamp(account.id, account.email, account.epoch)
    before = seal_capability(ResetCapability(ALICE, stamp, ends_at), LINK_KEYS)
    assert run(world.open_ports, ["accounts", "lock", ALICE]) == Exit.OK
    stamp = account_stamp(account.id, account.email, account.epoch + 1)
    after = seal_capability(ResetCapability(ALICE, stamp, ends_at), LINK_KEYS)
    assert [asyncio.run(used(world, token)) for token in (before, after)] == [410, 204]


async def used(world: Operated, token: str) -> int:
    """What a gateway answers to who sets a password by a link."""
    credentials = MemoryCredentials(world.clock)
    ports = gateway.Ports(world.tables, world.objects, world.queues, world.cache, credentials, world.clock)
    app = gateway.make_gateway(ports, gateway.Keys(PERMIT_KEYS, TOKEN_KEYS, LINK_KEYS), public_url="")
    async with TestClient(TestServer(app)) as client:
        body = {"token": token, "password": "a wholly new password"}
        return (await client.post("/v1/password-resets/use", json=body)).status


def test_a_removal_needs_yes_and_an_heir_for_what_would_be_left_to_nobody(capsys: pytest.CaptureFixture[str]):
    world = with_carol()
    assert refused(world, capsys, "accounts", "remove", ALICE, "--yes") == (Exit.REFUSED, "still-owns")
    assert refused(world, capsys, "accounts", "remove", ALICE, "--hand-to", ALICE, "--yes")[0] == Exit.REFUSED
    assert refused(world, capsys, "accounts", "remove", ALICE, "--hand-to", BOB) == (Exit.NEEDS_YES, "needs-yes")
    assert actions(world, capsys, ALICE) == []
    ask(world, capsys, "accounts", "remove", ALICE, "--hand-to", "bob@example.org", "--yes")
    assert refused(world, capsys, "accounts", "show", "alice@example.org") == (Exit.REFUSED, "not-found")
    members = ask(world, capsys, "libraries", "members", LIBRARY)["members"]
    assert [(one["account"], one["role"]) for one in members] == [(BOB, "owner"), (CAROL, "viewer")]
    assert actions(world, capsys, ALICE) == ["account.remove"]
