"""Passwords: argon2id, in threads, so many at once and no more."""

from __future__ import annotations

import asyncio
import unicodedata
from collections.abc import Callable
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from syncline.domain.errors import Temporary

T = TypeVar("T")

AT_ONCE_MAX = 4  # each takes 64 MiB (RFC 9106, second recommended option) and a core
WAITING_MAX = 64


class Passwords:
    """Hashes and verifies. ``hasher`` sets the parameters; hashes made with others are verified and renewed.

    Raises ``Temporary`` when too many are waiting: sign-in is the dearest thing a stranger can ask for.
    """

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher()
        self._turns = asyncio.Semaphore(AT_ONCE_MAX)
        self._waiting = 0
        self._decoy = self._hasher.hash("nobody has this password")

    async def hash(self, password: str) -> str:
        return await self._in_turn(lambda: self._hasher.hash(_normal(password)))

    async def verify(self, password: str, password_hash: str | None) -> bool:
        """Whether the password is right. Takes the same time when there is no hash to compare with."""
        right = await self._in_turn(lambda: self._verify(password_hash or self._decoy, _normal(password)))
        return right and password_hash is not None

    def is_outdated(self, password_hash: str) -> bool:
        """Whether the hash was made with other parameters than today's."""
        return self._hasher.check_needs_rehash(password_hash)

    def _verify(self, password_hash: str, password: str) -> bool:
        try:
            return self._hasher.verify(password_hash, password)
        except (VerificationError, InvalidHashError):
            return False

    async def _in_turn(self, work: Callable[[], T]) -> T:
        if self._waiting >= WAITING_MAX:
            raise Temporary("Too many sign-ins at once")
        self._waiting += 1
        try:
            async with self._turns:
                return await asyncio.to_thread(work)
        finally:
            self._waiting -= 1


def _normal(password: str) -> str:
    """The same password from every keyboard (NIST SP 800-63B, 5.1.1.2)."""
    return unicodedata.normalize("NFKC", password)
