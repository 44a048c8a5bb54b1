"""The journal: a library's commits in order, its head, and the outcomes of commands.

Rows::

    journal   pk = head#{library}                 sk = head            seq, epoch, incarnation
    journal   pk = journal#{library}#{seq // 512} sk = {seq, 12 digits} body (packed Commit)
    outcomes  pk = command#{command}              sk = outcome         body (packed Outcome), expires_at

An append is one transaction over the three of them, so a commit is seen whole or not at all, two commits never
take the same seq, and a command has one outcome.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import msgspec

from syncline.domain.commits import Commit, Outcome
from syncline.domain.errors import Broken
from syncline.ports.tables import Absent, Check, Equals, Exists, Key, Put, Row, Table, Tables, Update
from syncline.store.codec import number, pack, text, unpack

COMMITS_PER_PARTITION = 512
COMMITS_BY_KEY_MAX = 16
"""Up to so many commits are read by their keys; more by query, which is cheaper per commit."""
OUTCOME_KEPT_S = 30 * 24 * 3600
_SEQ_DIGITS = 12


class Head(msgspec.Struct, frozen=True):
    """Where a journal ends. ``epoch`` moves with the members; ``incarnation`` with every rebuild of the journal."""

    seq: int
    epoch: int
    incarnation: str


class Journal:
    """The only way to a library's journal. Appends are for the metadata service alone."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def creation(self, library: str, incarnation: str, *, epoch: int = 1) -> list[Put]:
        """What begins an empty journal, for the transaction that creates the library."""
        key = _head_key(library)
        row: Row = {"pk": key.pk, "sk": key.sk, "seq": 0, "epoch": epoch, "incarnation": incarnation}
        return [Put(Table.JOURNAL, row, Absent())]

    async def create(self, library: str, incarnation: str, *, epoch: int = 1) -> None:
        """Begin an empty journal. Raises ``ConditionFailed`` when there is one."""
        for put in self.creation(library, incarnation, epoch=epoch):
            await self._tables.write(put)

    def epoch_bump(self, library: str, *, expected: int | None = None) -> Update:
        """What moves the members' epoch on, for the transaction that changes the members.

        With ``expected`` it fails unless the epoch is still that: changes of members then happen one after another.
        """
        when = Exists() if expected is None else Equals({"epoch": expected})
        return Update(Table.JOURNAL, _head_key(library), add={"epoch": 1}, when=when)

    async def head(self, library: str) -> Head | None:
        """The head, or None when there is no such library. One read unit."""
        row = await self._tables.get(Table.JOURNAL, _head_key(library))
        return None if row is None else _head(row)

    async def heads(self, libraries: Sequence[str]) -> dict[str, Head]:
        """The heads of those that exist."""
        keys = {_head_key(library): library for library in libraries}
        rows = await self._tables.get_many(Table.JOURNAL, list(keys))
        return {keys[key]: _head(row) for key, row in rows.items()}

    async def append(self, commit: Commit | None, outcome: Outcome, *, expected: Head, now_ms: int) -> None:
        """Add a commit and its command's outcome, or only the outcome of a command without effect.

        Raises ``ConditionFailed`` when another commit or change of members came first or the command has an
        outcome already: then nothing happened. After ``Temporary`` it may have happened; the outcome tells.
        """
        still = Equals({"seq": expected.seq, "epoch": expected.epoch, "incarnation": expected.incarnation})
        kept = Put(Table.OUTCOMES, _outcome_row(outcome, now_ms), Absent())
        head_key = _head_key(outcome.library)
        if commit is None:
            await self._tables.transact([Check(Table.JOURNAL, head_key, still), kept])
            return
        if commit.seq != expected.seq + 1 or commit.library != outcome.library:
            raise Broken(f"A commit at {commit.seq} cannot follow {expected.seq} of {outcome.library}")
        key = commit_key(commit.library, commit.seq)
        row: Row = {"pk": key.pk, "sk": key.sk, "body": pack(commit)}
        moved = Update(Table.JOURNAL, head_key, set={"seq": commit.seq}, when=still)
        await self._tables.transact([Put(Table.JOURNAL, row, Absent()), moved, kept])

    async def read(self, library: str, after: int, upto: int | None = None) -> AsyncIterator[Commit]:
        """The commits with ``after < seq <= upto`` (the head when None), in order.

        Raises ``Broken`` when one of them is missing: whoever reads on would believe a wrong tree.
        """
        if upto is None:
            head = await self.head(library)
            upto = head.seq if head is not None else after
        by_key = upto - after <= COMMITS_BY_KEY_MAX
        rows = self._by_key(library, after, upto) if by_key else self._by_query(library, after, upto)
        seq = after
        async for row in rows:
            commit = unpack(Commit, row["body"])
            if commit.seq != seq + 1:
                break
            yield commit
            seq = commit.seq
        if seq < upto:
            raise Broken(f"The journal of {library} lacks commit {seq + 1} of {upto}")

    async def outcome(self, command: str) -> Outcome | None:
        """What became of a command, or None: not decided yet, or longer ago than 30 days."""
        row = await self._tables.get(Table.OUTCOMES, _outcome_key(command))
        return None if row is None else unpack(Outcome, row["body"])

    async def _by_key(self, library: str, after: int, upto: int) -> AsyncIterator[Row]:
        keys = [commit_key(library, seq) for seq in range(after + 1, upto + 1)]
        rows = await self._tables.get_many(Table.JOURNAL, keys) if keys else {}
        for key in keys:
            if key in rows:
                yield rows[key]

    async def _by_query(self, library: str, after: int, upto: int) -> AsyncIterator[Row]:
        for number_ in range((after + 1) // COMMITS_PER_PARTITION, upto // COMMITS_PER_PARTITION + 1):
            pk = _partition(library, number_ * COMMITS_PER_PARTITION)
            rows = self._tables.query(Table.JOURNAL, pk, first=_digits(after + 1), last=_digits(upto))
            async for row in rows:
                yield row


def commit_key(library: str, seq: int) -> Key:
    return Key(_partition(library, seq), _digits(seq))


def _partition(library: str, seq: int) -> str:
    return f"journal#{library}#{seq // COMMITS_PER_PARTITION}"


def _digits(seq: int) -> str:
    return f"{seq:0{_SEQ_DIGITS}d}"


def _head_key(library: str) -> Key:
    return Key(f"head#{library}", "head")


def _head(row: Row) -> Head:
    return Head(number(row, "seq"), number(row, "epoch"), text(row, "incarnation"))


def _outcome_key(command: str) -> Key:
    return Key(f"command#{command}", "outcome")


def _outcome_row(outcome: Outcome, now_ms: int) -> Row:
    key = _outcome_key(outcome.command)
    expires_at = now_ms // 1000 + OUTCOME_KEPT_S
    return {"pk": key.pk, "sk": key.sk, "body": pack(outcome), "expires_at": expires_at}
