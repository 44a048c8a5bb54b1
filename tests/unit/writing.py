"""Writes a library's journal step by step, for tests of those who read it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from syncline.domain.commits import Change, Commit, Effect, Outcome
from syncline.domain.ids import id_from_bytes
from syncline.domain.nodes import Author, Kind, Location, Node, Version
from syncline.domain.rights import Role
from syncline.ports import tracing
from syncline.ports.clock import Clock
from syncline.ports.tables import Tables
from syncline.store.directory import AccountRecord, Directory, LibraryRecord
from syncline.store.journal import Head, Journal

INCARNATION = "incarnation-1"


def made_id(name: str) -> str:
    """The id that stands for ``name`` in every test."""
    return id_from_bytes(hashlib.sha256(name.encode()).digest())


def checksum_of(text: str) -> str:
    """Something of a checksum's form."""
    return hashlib.sha256(text.encode()).hexdigest()[:43] + "="


async def make_account(tables: Tables, name: str) -> str:
    account = made_id(f"account {name}")
    record = AccountRecord(account, f"{name.lower()}@example.org", f"{name} Example", "", 0)
    await Directory(tables).create_account(record)
    return account


class Writer:
    """One library: ``await writer.add(alice, "a.txt")`` appends a commit. Nodes are named by their first name."""

    def __init__(self, tables: Tables, clock: Clock, name: str) -> None:
        self.id = made_id(f"library {name}")
        self.name = name
        self.seq = 0
        self.nodes: dict[str, Node] = {}
        self.commits: list[Commit] = []
        self._journal = Journal(tables)
        self._directory = Directory(tables)
        self._clock = clock

    async def create(self, owner: str, *members: str) -> Writer:
        await self._directory.create_library(LibraryRecord(self.id, self.name, 0), owner, INCARNATION)
        for member in members:
            await self._directory.set_member(self.id, member, Role.EDITOR)
        return self

    def node_id(self, name: str) -> str:
        return self.id if not name else self.nodes[name].id

    async def head(self) -> Head:
        head = await self._journal.head(self.id)
        assert head is not None
        return head

    async def add(self, who: str, name: str, *, folder: str = "", kind: Kind = Kind.FILE) -> Commit:
        return await self.add_all(who, [name], folder=folder, kind=kind)

    async def add_all(self, who: str, names: Sequence[str], *, folder: str = "", kind: Kind = Kind.FILE) -> Commit:
        """Several new files (or folders) in one commit."""
        seq = self.seq + 1
        states = [
            self._state(who, made_id(f"{self.id} {name}"), self.node_id(folder), name, kind, seq, seq, False)
            for name in names
        ]
        self.nodes |= dict(zip(names, states, strict=True))
        return await self._append(who, [Change(Effect.ADDED, state) for state in states])

    async def update(self, who: str, name: str) -> Commit:
        old, seq = self.nodes[name], self.seq + 1
        new = self._state(who, old.id, old.parent, old.name, old.kind, old.placed_seq, seq, False)
        self.nodes[name] = new
        return await self._append(who, [Change(Effect.UPDATED, new)])

    async def move(self, who: str, name: str, *, folder: str = "", to: str = "") -> Commit:
        old = self.nodes[name]
        new = Node(
            old.id, self.node_id(folder), to or old.name, old.kind, old.version,
            self.seq + 1, self.seq + 1, old.content_seq, False, self._author(who),
        )  # fmt: skip
        self.nodes[name] = new
        return await self._append(who, [Change(Effect.MOVED, new, was=old.place)])

    async def remove(self, who: str, name: str) -> Commit:
        old = self.nodes[name]
        new = Node(
            old.id, old.parent, old.name, old.kind, old.version,
            self.seq + 1, old.placed_seq, old.content_seq, True, self._author(who),
        )  # fmt: skip
        self.nodes[name] = new
        return await self._append(who, [Change(Effect.REMOVED, new, was=old.place)])

    async def late(self, who: str, name: str) -> Commit:
        return await self._append(who, [Change(Effect.LATE, self.nodes[name], late=self._version(who, "late"))])

    def _state(
        self, who: str, node: str, parent: str, name: str, kind: Kind, placed: int, content: int, removed: bool
    ) -> Node:
        version = self._version(who, f"{name} {content}") if kind is Kind.FILE else None
        seq = self.seq + 1
        return Node(node, parent, name, kind, version, seq, placed, content, removed, self._author(who))

    def _version(self, who: str, content: str) -> Version:
        version = made_id(f"version {self.id} {content} {self.seq}")
        where = Location(f"objects/{self.id}/grant/{version}", "s3v", 0, len(content))
        return Version(version, len(content), checksum_of(content), where, 0, False, self._author(who))

    def _author(self, who: str) -> Author:
        return Author(who, made_id(f"device {who}"), self.seq + 1, self._clock.now_ms())

    async def _append(self, who: str, changes: Sequence[Change]) -> Commit:
        head = await self.head()
        command = made_id(f"command {self.id} {head.seq}")
        device = made_id(f"device {who}")
        commit = Commit(
            self.id,
            head.seq + 1,
            command,
            who,
            device,
            self._clock.now_ms(),
            tuple(changes),
            trace=tracing.recorded(),
        )
        outcome = Outcome(command, self.id, commit.seq, ())
        await self._journal.append(commit, outcome, expected=head, now_ms=self._clock.now_ms())
        self.seq = commit.seq
        self.commits.append(commit)
        return commit
