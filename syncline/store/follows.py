"""Follows: who wants mail about which library, folder or file, and on what terms.

Rows in the table ``directory``, the same follow found from both sides, and what an account wants in general::

    pk = follows#{library}    sk = {follower}#{node}   at_ms, outside?, and the wishes that were said:
    pk = follower#{follower}  sk = {library}#{node}    window?, hour?, zone?, kinds? ("added,removed")
    pk = account#{account}    sk = mail                the same wishes, language?, at_ms

A follower is an account or an outside follower (``syncline.store.outsiders``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from syncline.domain.digests import Happened
from syncline.domain.preferences import OUTSIDE, Every, Terms, Wishes, settle
from syncline.ports.tables import Delete, Key, Put, Row, Table, Tables, Value
from syncline.store.archiving import mark
from syncline.store.codec import number

FOLLOWS_MAX = 10_000
"""Of one account, and of one library, so many are read at once."""
_PER_TRANSACTION = 32


class FollowRecord(msgspec.Struct, frozen=True):
    """``node`` is what is followed; the library's id is its root. ``at_ms``: since when it is as it is."""

    library: str
    node: str
    account: str
    at_ms: int = 0
    wishes: Wishes = Wishes()
    outside: bool = False


class MailPreferences(msgspec.Struct, frozen=True):
    """What an account wants where a follow says nothing. ``language`` "" is not said; ``at_ms``: since when."""

    wishes: Wishes = Wishes()
    language: str = ""
    at_ms: int = 0


NOTHING_SAID = MailPreferences()


def terms_of(follow: FollowRecord, preferences: MailPreferences) -> Terms:
    """The terms that hold for a follow."""
    return settle([follow.wishes, OUTSIDE if follow.outside else preferences.wishes])


class Follows:
    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def follow(
        self,
        library: str,
        node: str,
        account: str,
        *,
        at_ms: int = 0,
        wishes: Wishes | None = None,
        outside: bool = False,
    ) -> FollowRecord:
        """Begin to follow, or follow on other terms. Repeating is harmless."""
        record = FollowRecord(library, node, account, at_ms, wishes or Wishes(), outside)
        said = {"at_ms": at_ms, **_said(record.wishes), **({"outside": True} if outside else {})}
        keys = _keys(library, node, account)
        puts = [Put(Table.DIRECTORY, {"pk": key.pk, "sk": key.sk, **said}) for key in keys]
        await self._tables.transact([*puts, mark(library, f"follow {account} {node} {said}")])
        return record

    async def unfollow(self, library: str, node: str, account: str) -> None:
        """End a follow; harmless when there is none."""
        await self._drop([FollowRecord(library, node, account)])

    async def of_account(self, account: str) -> list[FollowRecord]:
        rows = self._tables.query(Table.DIRECTORY, f"follower#{account}", limit=FOLLOWS_MAX)
        return [_record(row, account=account) async for row in rows]

    async def of_library(self, library: str) -> list[FollowRecord]:
        rows = self._tables.query(Table.DIRECTORY, f"follows#{library}", limit=FOLLOWS_MAX)
        return [_record(row, library=library) async for row in rows]

    async def drop_all(self, account: str, library: str | None = None) -> None:
        """End all follows of an account, or those in one library."""
        follows = await self.of_account(account)
        await self._drop([follow for follow in follows if library in (None, follow.library)])

    async def preferences(self, account: str) -> MailPreferences:
        row = await self._tables.get(Table.DIRECTORY, _preferences_key(account))
        return NOTHING_SAID if row is None else _preferences(row)

    async def preferences_of(self, accounts: Iterable[str]) -> dict[str, MailPreferences]:
        """Those of the accounts that said something."""
        keys = {_preferences_key(account): account for account in accounts}
        rows = await self._tables.get_many(Table.DIRECTORY, list(keys))
        return {keys[key]: _preferences(row) for key, row in rows.items()}

    async def prefer(self, account: str, preferences: MailPreferences) -> None:
        """Store what an account wants in general, in place of what it wanted before."""
        key = _preferences_key(account)
        said = {"at_ms": preferences.at_ms, **_said(preferences.wishes)}
        if preferences.language:
            said["language"] = preferences.language
        await self._tables.write(Put(Table.DIRECTORY, {"pk": key.pk, "sk": key.sk, **said}))

    async def forget(self, account: str) -> None:
        """End all follows of an account and forget what it wanted. Repeating is harmless."""
        await self.drop_all(account)
        await self._tables.write(Delete(Table.DIRECTORY, _preferences_key(account)))

    async def _drop(self, follows: list[FollowRecord]) -> None:
        for start in range(0, len(follows), _PER_TRANSACTION):
            some = follows[start : start + _PER_TRANSACTION]
            keys = [key for follow in some for key in _keys(follow.library, follow.node, follow.account)]
            marks = [mark(library, f"unfollowed {some[0]}") for library in {follow.library for follow in some}]
            await self._tables.transact([*(Delete(Table.DIRECTORY, key) for key in keys), *marks])


def _keys(library: str, node: str, account: str) -> tuple[Key, Key]:
    return (
        Key(f"follows#{library}", f"{account}#{node}"),
        Key(f"follower#{account}", f"{library}#{node}"),
    )


def _preferences_key(account: str) -> Key:
    return Key(f"account#{account}", "mail")


def _record(row: Row, *, library: str = "", account: str = "") -> FollowRecord:
    other, _, node = str(row["sk"]).partition("#")
    return FollowRecord(
        library or other, node, account or other, number(row, "at_ms"), wishes_in(row), row.get("outside") is True
    )


def _preferences(row: Row) -> MailPreferences:
    return MailPreferences(wishes_in(row), str(row.get("language", "")), number(row, "at_ms"))


def _said(wishes: Wishes) -> dict[str, Value]:
    said: dict[str, Value] = {}
    if wishes.window is not None:
        said["window"] = wishes.window.value
    if wishes.hour is not None:
        said["hour"] = wishes.hour
    if wishes.zone is not None:
        said["zone"] = wishes.zone
    if wishes.kinds is not None:
        said["kinds"] = ",".join(sorted(wishes.kinds))
    return said


def wishes_in(row: Mapping[str, Value]) -> Wishes:
    """The wishes a row holds; what a newer program wrote and this one does not know was not said."""
    window, kinds = row.get("window"), row.get("kinds")
    return Wishes(
        window=Every(window) if window in set(Every) else None,
        hour=number(row, "hour") if "hour" in row else None,
        zone=str(row["zone"]) if "zone" in row else None,
        kinds=None if kinds is None else frozenset(kind for kind in Happened if kind in str(kinds).split(",")),
    )
