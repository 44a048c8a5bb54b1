"""Whom mail about a library may go to: its members, and outside followers who confirmed. Looked up when it is due."""

from __future__ import annotations

import msgspec

from syncline.domain.rights import may_read
from syncline.ports.clock import Clock
from syncline.store.directory import Directory
from syncline.store.follows import NOTHING_SAID, Follows, MailPreferences
from syncline.store.outsiders import Outsiders


class Recipient(msgspec.Struct, frozen=True):
    """``links``: links to files may be in their mail. ``ends_at_s`` is 0 for members."""

    id: str
    email: str
    name: str
    language: str
    links: bool
    outside: bool = False
    ends_at_s: int = 0
    preferences: MailPreferences = NOTHING_SAID


class Recipients:
    def __init__(self, directory: Directory, follows: Follows, outsiders: Outsiders, clock: Clock) -> None:
        self._directory = directory
        self._follows = follows
        self._outsiders = outsiders
        self._clock = clock

    async def find(self, library: str, follower: str) -> Recipient | None:
        """The follower, if mail about the library may go there now."""
        account = await self._directory.account(follower)
        if account is None:
            return await self._outside(library, follower)
        if not may_read(await self._directory.member(library, follower)):
            return None
        preferences = await self._follows.preferences(follower)
        return Recipient(
            follower, account.email, account.name, preferences.language, links=True, preferences=preferences
        )

    async def _outside(self, library: str, follower: str) -> Recipient | None:
        record = await self._outsiders.get(library, follower)
        if record is None or not record.hears(self._clock.now_ms() // 1000):
            return None
        rules = await self._outsiders.rules(library)
        return Recipient(
            follower,
            record.email,
            "",
            record.language,
            links=rules.links,
            outside=True,
            ends_at_s=record.ends_at_s,
        )
