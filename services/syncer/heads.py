"""Heads: where the libraries of an account stand, and the token that says it in a few characters."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import Iterable, Mapping

from syncline.domain.cursors import Cursor, encode_cursor
from syncline.messages import api
from syncline.store.directory import Directory
from syncline.store.journal import Head, Journal

TOKEN_BYTES = 15
MEMBERSHIP_READS_AT_ONCE = 8
"""Held requests look their memberships up again and again; never more than so many at a time."""


def token_of(heads: Mapping[str, Head]) -> str:
    """A short digest of where these libraries stand: another token means that something moved, came or went."""
    lines = (f"{library} {head.incarnation} {head.seq}\n" for library, head in sorted(heads.items()))
    digest = hashlib.sha256("".join(lines).encode()).digest()
    return base64.urlsafe_b64encode(digest[:TOKEN_BYTES]).decode()


def answer_of(heads: Mapping[str, Head]) -> api.Heads:
    return api.Heads(
        heads=[
            api.Head(library=library, seq=head.seq, cursor=encode_cursor(Cursor(head.incarnation, head.seq)))
            for library, head in sorted(heads.items())
        ],
        token=token_of(heads),
    )


class HeadsReader:
    """Reads heads for all requests of this process: those who ask while a reading is on its way share the next one.

    A reading begins after it was asked for, so every answer is as new as a reading of one's own.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._wanted: set[str] = set()
        self._next: asyncio.Task[dict[str, Head]] | None = None
        self._reading = asyncio.Lock()

    async def read(self, libraries: Iterable[str]) -> dict[str, Head]:
        """The heads of those that exist. Raises ``Temporary``."""
        wanted = set(libraries)
        if not wanted:
            return {}
        self._wanted |= wanted
        if self._next is None:
            self._next = asyncio.create_task(self._read_next())
        # Shielded: whoever goes away must not take the reading from the others.
        heads = await asyncio.shield(self._next)
        return {library: heads[library] for library in wanted if library in heads}

    async def _read_next(self) -> dict[str, Head]:
        async with self._reading:
            libraries, self._wanted, self._next = self._wanted, set(), None
            return await self._journal.heads(sorted(libraries))


class Memberships:
    """Which libraries an account is a member of."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._at_once = asyncio.Semaphore(MEMBERSHIP_READS_AT_ONCE)

    async def of(self, account: str) -> frozenset[str]:
        async with self._at_once:
            return await self._directory.library_ids_of(account)
