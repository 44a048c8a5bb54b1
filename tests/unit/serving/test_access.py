"""Roles: remembered, and yet never after they were taken away."""

from __future__ import annotations

import pytest

from syncline.domain.errors import Refused
from syncline.domain.rights import Role
from syncline.memory.cache import MemoryCache
from syncline.memory.clock import ManualClock
from syncline.memory.tables import MemoryTables
from syncline.serving.auth import REMEMBER_S, Access
from syncline.store.directory import Directory, LibraryRecord
from syncline.store.journal import Journal

LIBRARY, ALICE, BOB = "l" * 20, "a" * 20, "b" * 20


class CountingDirectory(Directory):
    asked = 0

    async def member(self, library: str, account: str) -> Role | None:
        self.asked += 1
        return await super().member(library, account)


class Setting:
    def __init__(self) -> None:
        tables = MemoryTables()
        self.clock = ManualClock()
        self.directory = CountingDirectory(tables)
        self.cache = MemoryCache(self.clock)
        self.access = Access(self.directory, Journal(tables), self.cache)


@pytest.fixture
async def setting() -> Setting:
    made = Setting()
    await made.directory.create_library(LibraryRecord(LIBRARY, "L", 0), ALICE, "i" * 20)
    await made.directory.set_member(LIBRARY, BOB, Role.EDITOR)
    return made


async def test_a_role_is_remembered(setting: Setting) -> None:
    for _ in range(3):
        assert await setting.access.role(LIBRARY, BOB) is Role.EDITOR
    assert setting.directory.asked == 1
    setting.clock.advance(REMEMBER_S + 1)
    assert await setting.access.role(LIBRARY, BOB) is Role.EDITOR
    assert setting.directory.asked == 2


async def test_a_role_is_forgotten_at_once_when_members_change(setting: Setting) -> None:
    await setting.access.require_write(LIBRARY, BOB)
    await setting.directory.set_member(LIBRARY, BOB, Role.VIEWER)
    await setting.access.require_read(LIBRARY, BOB)
    with pytest.raises(Refused) as refused:
        await setting.access.require_write(LIBRARY, BOB)
    assert (refused.value.kind, refused.value.status) == ("not-allowed", 403)
    await setting.directory.set_member(LIBRARY, BOB, None)
    for require in (setting.access.require_read, setting.access.require_write, setting.access.require_govern):
        with pytest.raises(Refused) as refused:
            await require(LIBRARY, BOB)
        assert (refused.value.kind, refused.value.status) == ("no-such-library", 404)


async def test_without_the_cache_all_is_the_same(setting: Setting) -> None:
    setting.cache.away = True
    assert await setting.access.role(LIBRARY, BOB) is Role.EDITOR
    await setting.directory.set_member(LIBRARY, BOB, None)
    assert await setting.access.role(LIBRARY, BOB) is None


async def test_garbage_in_the_cache_gives_no_rights(setting: Setting) -> None:
    await setting.directory.set_member(LIBRARY, BOB, None)
    head = await Journal(setting.directory._tables).head(LIBRARY)
    assert head is not None
    await setting.cache.put(f"role:{LIBRARY}:{head.epoch}:{BOB}", b"root", ttl_s=30)
    assert await setting.access.role(LIBRARY, BOB) is None


async def test_only_owners_govern(setting: Setting) -> None:
    assert (await setting.access.require_govern(LIBRARY, ALICE)).role is Role.OWNER
    with pytest.raises(Refused):
        await setting.access.require_govern(LIBRARY, BOB)
    for odd in ("", "x", "../" + LIBRARY, LIBRARY.upper()):
        assert await setting.access.role(odd, ALICE) is None
