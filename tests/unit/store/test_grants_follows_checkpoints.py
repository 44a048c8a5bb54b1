"""The small stores of the directory's table."""

from __future__ import annotations

import asyncio

import msgspec

from syncline.domain.digests import Happened
from syncline.domain.preferences import Every, Wishes
from syncline.memory.tables import MemoryTables
from syncline.ports.tables import Put, Row, Table
from syncline.store.checkpoints import Checkpoints
from syncline.store.follows import Follows, MailPreferences
from syncline.store.grants import GRANT_KEPT_S, Entry, GrantRecord, Grants, hour_of

NOW_MS = 1_767_225_600_000
LIBRARY = "l" * 20


def a_grant(id: str, opened_at_ms: int = NOW_MS) -> GrantRecord:
    expires_at = opened_at_ms // 1000 + 900
    return GrantRecord(id, LIBRARY, "a" * 20, "d" * 20, f"objects/{LIBRARY}/{id}/", False, opened_at_ms, expires_at)


async def entries(grants: Grants, hour: int) -> list[Entry]:
    return [entry async for batch in grants.entries(hour) for entry in batch]


class TestGrants:
    async def test_a_grant_is_found_by_its_id_and_by_the_hour_in_which_its_credential_ends(self):
        grants = Grants(MemoryTables())
        made = [a_grant(f"g{n:019}", NOW_MS + n) for n in range(150)]
        for grant in [*made, a_grant("z" * 20, NOW_MS + 3_600_000)]:
            await grants.open(grant)
        assert await grants.get(made[7].id) == made[7]
        assert await grants.get("x" * 20) is None
        assert await grants.many([made[7].id, "x" * 20, made[8].id]) == {grant.id: grant for grant in made[7:9]}
        hour = hour_of(made[0].expires_at)
        found = sorted(await entries(grants, hour), key=lambda entry: entry.grant)
        assert found == [Entry(hour, grant.id, grant.expires_at, False) for grant in made]

    async def test_a_renewed_grant_replaces_its_state(self):
        grants = Grants(MemoryTables())
        grant = a_grant("g" * 20)
        renewed = msgspec.structs.replace(grant, expires_at=grant.expires_at + 900)
        await grants.open(grant)
        await grants.open(renewed)
        assert await grants.get(grant.id) == renewed
        hour = hour_of(renewed.expires_at)
        assert await entries(grants, hour) == [Entry(hour, grant.id, renewed.expires_at, False)]

    async def test_a_grant_moves_from_hour_to_hour_until_it_is_done(self):
        grants = Grants(MemoryTables())
        grant = a_grant("g" * 20)
        await grants.open(grant)
        [first] = await entries(grants, hour_of(grant.expires_at))
        last = Entry(first.hour + 25, grant.id, grant.expires_at, True)
        await grants.move(first, last)
        assert await entries(grants, first.hour) == []
        assert await entries(grants, last.hour) == [last]
        await grants.done(last)
        assert await entries(grants, last.hour) == []
        assert await grants.get(grant.id) == grant

    async def test_a_row_of_before_the_index_was_spread_is_found_moved_and_removed(self):
        tables = MemoryTables()
        grants, ends_at = Grants(tables), NOW_MS // 1000 + 900
        for grant in ("g" * 20, "h" * 20):
            row: Row = {"pk": f"grants#{hour_of(ends_at)}", "sk": grant, "ends_at": ends_at, "expires_at": ends_at + 1}
            await tables.write(Put(Table.DIRECTORY, row))
        one, other = await entries(grants, hour_of(ends_at))
        assert one.old
        await grants.move(one, msgspec.structs.replace(one, old=False))
        await grants.done(other)
        assert await entries(grants, one.hour) == [Entry(one.hour, "g" * 20, ends_at, False)]

    async def test_what_a_newer_credential_has_put_into_the_hour_stays(self):
        grants = Grants(MemoryTables())
        grant = a_grant("g" * 20)
        await grants.open(grant)
        [seen] = await entries(grants, hour_of(grant.expires_at))
        renewed = msgspec.structs.replace(grant, expires_at=grant.expires_at + 900)
        await grants.open(renewed)
        await grants.move(seen, Entry(seen.hour + 25, grant.id, seen.ends_at, True))
        assert [entry.ends_at for entry in await entries(grants, seen.hour)] == [renewed.expires_at]

    async def test_it_outlives_its_credential_by_the_time_the_sweep_needs(self):
        tables = MemoryTables()
        grants = Grants(tables)
        grant = a_grant("g" * 20)
        await grants.open(grant)
        tables.drop_expired(grant.expires_at + GRANT_KEPT_S)
        assert await grants.get(grant.id) == grant
        tables.drop_expired(grant.expires_at + GRANT_KEPT_S + 1)
        assert await grants.get(grant.id) is None


class TestFollows:
    async def test_a_follow_is_found_from_both_sides(self):
        follows = Follows(MemoryTables())
        made = await follows.follow(LIBRARY, "n" * 20, "a" * 20, at_ms=5)
        await follows.follow(LIBRARY, "n" * 20, "a" * 20, at_ms=5)
        other = await follows.follow(LIBRARY, LIBRARY, "b" * 20)
        assert await follows.of_account("a" * 20) == [made]
        assert await follows.of_library(LIBRARY) == [made, other]
        await follows.unfollow(LIBRARY, "n" * 20, "a" * 20)
        await follows.unfollow(LIBRARY, "n" * 20, "a" * 20)
        assert await follows.of_account("a" * 20) == []
        assert await follows.of_library(LIBRARY) == [other]

    async def test_what_was_wished_is_found_again_and_what_was_not_stays_unsaid(self):
        follows = Follows(MemoryTables())
        wishes = Wishes(window=Every.DAILY, hour=0, kinds=frozenset({Happened.ADDED, Happened.REMOVED}))
        made = await follows.follow(LIBRARY, "n" * 20, "a" * 20, wishes=wishes, outside=True)
        assert await follows.of_account("a" * 20) == await follows.of_library(LIBRARY) == [made]
        plain = await follows.follow(LIBRARY, "n" * 20, "a" * 20)
        assert await follows.of_account("a" * 20) == [plain]
        assert (plain.wishes, plain.outside) == (Wishes(), False)

    async def test_an_account_s_preferences(self):
        follows = Follows(MemoryTables())
        preferences = MailPreferences(Wishes(zone="Europe/Berlin", kinds=frozenset()), "de", 5)
        await follows.prefer("a" * 20, preferences)
        assert await follows.preferences("a" * 20) == preferences
        assert await follows.preferences("b" * 20) == MailPreferences()
        assert await follows.preferences_of(["a" * 20, "b" * 20]) == {"a" * 20: preferences}

    async def test_all_of_an_account_end_or_those_of_one_library(self):
        follows = Follows(MemoryTables())
        for n in range(100):
            await follows.follow(LIBRARY, f"n{n:019}", "a" * 20)
        elsewhere = await follows.follow("m" * 20, "m" * 20, "a" * 20)
        other = await follows.follow(LIBRARY, LIBRARY, "b" * 20)
        await follows.drop_all("a" * 20, LIBRARY)
        assert await follows.of_account("a" * 20) == [elsewhere]
        assert await follows.of_library(LIBRARY) == [other]
        await follows.drop_all("a" * 20)
        assert await follows.of_account("a" * 20) == []


class TestCheckpoints:
    async def test_one_never_goes_back(self):
        checkpoints = Checkpoints(MemoryTables())
        assert await checkpoints.get("notifier", LIBRARY, "inc") == 0
        await asyncio.gather(*(checkpoints.advance("notifier", LIBRARY, "inc", seq) for seq in (3, 9, 1, 7)))
        assert await checkpoints.get("notifier", LIBRARY, "inc") == 9
        assert await checkpoints.get("syncer", LIBRARY, "inc") == 0
        assert await checkpoints.get("notifier", LIBRARY, "another life") == 0
