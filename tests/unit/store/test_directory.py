"""Accounts, devices, libraries and members."""

from __future__ import annotations

import asyncio

import pytest

from syncline.domain.errors import ConditionFailed, NotFound, Refused
from syncline.domain.rights import Role
from syncline.memory.tables import MemoryTables
from syncline.store.directory import (
    AccountRecord,
    DeviceRecord,
    Directory,
    LibraryRecord,
    MemberRecord,
    normal_email,
)
from syncline.store.journal import Head, Journal

ALICE, BOB, CAROL = "a" * 20, "b" * 20, "c" * 20
LIBRARY = "l" * 20


def account(id: str, email: str) -> AccountRecord:
    return AccountRecord(id, email, "Somebody", "hash", 5)


async def a_library(tables: MemoryTables) -> Directory:
    directory = Directory(tables)
    await directory.create_library(LibraryRecord(LIBRARY, "Papers", 7), ALICE, "inc")
    return directory


async def test_an_address_belongs_to_one_account_however_it_is_written():
    directory = Directory(MemoryTables())
    made = await directory.create_account(account(ALICE, "  Alice@Example.ORG "))
    assert made.email == "alice@example.org"
    assert await directory.account(ALICE) == made
    assert await directory.account_by_email("ALICE@example.org") == made
    with pytest.raises(Refused) as refused:
        await directory.create_account(account(BOB, "alice@EXAMPLE.org"))
    assert (refused.value.kind, refused.value.status) == ("email-taken", 409)
    assert await directory.account(BOB) is None
    assert await directory.account_by_email("nobody@example.org") is None


def test_addresses_are_compared_in_nfc():
    assert normal_email("Ju\u0308rgen@example.org") == normal_email("J\u00fcrgen@example.org")


async def test_of_two_accounts_with_one_address_at_once_one_is_made():
    directory = Directory(MemoryTables())
    both = [directory.create_account(account(id, "x@example.org")) for id in (ALICE, BOB)]
    ends = await asyncio.gather(*both, return_exceptions=True)
    assert sorted(type(end).__name__ for end in ends) == ["AccountRecord", "Refused"]


async def test_a_refresh_token_is_rotated_once():
    directory = Directory(MemoryTables())
    device = DeviceRecord("d" * 20, ALICE, "laptop", "one", "", 5)
    await directory.create_device(device)
    with pytest.raises(ConditionFailed):
        await directory.create_device(device)
    await directory.rotate_refresh(device.id, "one", "two", previous_hash="one", at_ms=9)
    with pytest.raises(ConditionFailed):
        await directory.rotate_refresh(device.id, "one", "three", previous_hash="one", at_ms=9)
    found = await directory.device(device.id)
    assert found is not None
    assert (found.refresh_hash, found.previous_refresh_hash, found.revoked) == ("two", "one", False)
    assert found.rotated_at_ms == 9
    await directory.revoke_device(device.id, at_ms=0)
    with pytest.raises(ConditionFailed):
        await directory.rotate_refresh(device.id, "two", "three", previous_hash="two", at_ms=9)
    found = await directory.device(device.id)
    assert found is not None
    assert found.revoked
    with pytest.raises(NotFound):
        await directory.revoke_device("x" * 20, at_ms=0)


async def test_a_library_has_its_owner_and_an_empty_journal():
    tables = MemoryTables()
    directory = await a_library(tables)
    assert await directory.library(LIBRARY) == LibraryRecord(LIBRARY, "Papers", 7)
    assert await directory.members(LIBRARY) == [MemberRecord(LIBRARY, ALICE, Role.OWNER)]
    assert await directory.libraries_of(ALICE) == [(LibraryRecord(LIBRARY, "Papers", 7), Role.OWNER)]
    assert await Journal(tables).head(LIBRARY) == Head(0, 1, "inc")
    with pytest.raises(ConditionFailed):
        await directory.create_library(LibraryRecord(LIBRARY, "Other", 8), BOB, "other")
    assert await directory.member(LIBRARY, BOB) is None


async def test_every_change_of_members_moves_the_epoch():
    tables = MemoryTables()
    directory, journal = await a_library(tables), Journal(tables)
    await directory.set_member(LIBRARY, BOB, Role.VIEWER)
    await directory.set_member(LIBRARY, BOB, Role.EDITOR)
    assert await directory.member(LIBRARY, BOB) is Role.EDITOR
    assert [role for _, role in await directory.libraries_of(BOB)] == [Role.EDITOR]
    assert await journal.head(LIBRARY) == Head(0, 3, "inc")
    await directory.set_member(LIBRARY, BOB, Role.EDITOR)
    assert await journal.head(LIBRARY) == Head(0, 3, "inc"), "nothing changed, so nobody need be asked again"
    await directory.set_member(LIBRARY, BOB, None)
    assert await directory.member(LIBRARY, BOB) is None
    assert await directory.libraries_of(BOB) == []
    assert await journal.head(LIBRARY) == Head(0, 4, "inc")
    with pytest.raises(NotFound):
        await directory.set_member("x" * 20, BOB, Role.VIEWER)


@pytest.mark.parametrize("role", [None, Role.EDITOR, Role.VIEWER])
async def test_the_last_owner_stays(role: Role | None):
    directory = await a_library(MemoryTables())
    with pytest.raises(Refused) as refused:
        await directory.set_member(LIBRARY, ALICE, role)
    assert refused.value.kind == "last-owner"
    await directory.set_member(LIBRARY, BOB, Role.OWNER)
    await directory.set_member(LIBRARY, ALICE, role)
    assert await directory.member(LIBRARY, ALICE) is role


async def test_two_owners_that_remove_each_other_at_once_leave_one():
    directory = await a_library(MemoryTables())
    await directory.set_member(LIBRARY, BOB, Role.OWNER)
    both = [directory.set_member(LIBRARY, owner, None) for owner in (ALICE, BOB)]
    ends = await asyncio.gather(*both, return_exceptions=True)
    assert sum(isinstance(end, Refused) for end in ends) == 1
    assert [member.role for member in await directory.members(LIBRARY)] == [Role.OWNER]


async def test_accounts_are_read_together():
    directory = Directory(MemoryTables())
    await directory.create_account(account(ALICE, "a@example.org"))
    await directory.create_account(account(CAROL, "c@example.org"))
    assert sorted(await directory.accounts([ALICE, BOB, CAROL])) == [ALICE, CAROL]
