"""The journal: a library's commits in order, its head, and the outcomes of commands.

Rows::

    journal   pk = head#{library}                 sk = head            seq, epoch, incarnation
    journal   pk = journal#{library}#{seq // 512} sk = {seq, 12 digits} body (packed Commit), parts when more than one
    journal   the same pk                         sk = {seq}#{part}    body (the rest of a packed Commit over 350 KB)
    outcomes  pk = command#{command}              sk = outcome         body (packed Outcome), expires_at

An append is one transaction over the three of them and the row that says that the library moved
(``syncline/store/moves.py``), so a commit is seen whole or not at all, two commits never
take the same seq, and a command has one outcome.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import msgspec

from syncline.domain.commits import Commit, Outcome
from syncline.domain.errors import Broken, Refused
from syncline.ports.tables import Absent, Check, Delete, Equals, Exists, Key, Put, Row, Table, Tables, Update, Value
from syncline.store.codec import blob, number, pack, text, unpack
from syncline.store.moves import move_of

COMMITS_PER_PARTITION = 512
COMMITS_BY_KEY_MAX = 16
"""Up to so many commits are read by their keys; more by query, which is cheaper per commit."""
OUTCOME_KEPT_S = 30 * 24 * 3600
PART_BYTES_MAX = 350_000
"""A row holds 400 KB."""
COMMIT_BYTES_MAX = 3_000_000
"""A transaction holds 4 MB, the outcome's row and the parts' keys among them."""
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
        Raises ``Refused("commit-too-large")`` for what no transaction can hold.
        """
        still = Equals({"seq": expected.seq, "epoch": expected.epoch, "incarnation": expected.incarnation})
        kept = Put(Table.OUTCOMES, _outcome_row(outcome, now_ms), Absent())
        head_key = _head_key(outcome.library)
        if commit is None:
            await self._tables.transact([Check(Table.JOURNAL, head_key, still), kept])
            return
        if commit.seq != expected.seq + 1 or commit.library != outcome.library:
            raise Broken(f"A commit at {commit.seq} cannot follow {expected.seq} of {outcome.library}")
        moved = Update(Table.JOURNAL, head_key, set={"seq": commit.seq}, when=still)
        marked = move_of(commit.library, commit.seq, expected.incarnation, now_ms)
        await self._tables.transact([*_commit_puts(commit), moved, kept, marked])

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
        async for body in _bodies(rows):
            commit = unpack(Commit, body)
            if commit.seq != seq + 1:
                break
            yield commit
            seq = commit.seq
        if seq < upto:
            raise Broken(f"The journal of {library} lacks commit {seq + 1} of {upto}")

    # -- making a journal again (syncline-admin) --------------------------------------------------------------------

    async def close(self, library: str, head: Head) -> None:
        """Take the head away: nobody appends, and the library is not there. Raises ``ConditionFailed``: it moved."""
        still = Equals({"seq": head.seq, "incarnation": head.incarnation})
        await self._tables.write(Delete(Table.JOURNAL, _head_key(library), still))

    async def restore(self, commits: Sequence[Commit]) -> None:
        """Write commits where no head is. Repeating is harmless."""
        puts = [put for commit in commits for put in _commit_puts(commit)]
        await self._tables.put_many(Table.JOURNAL, [put.row for put in puts])

    async def cut(self, library: str, after: int) -> int:
        """Remove rows of commits after ``after`` that an earlier life of the journal left behind; how many."""
        count, index = 0, (after + 1) // COMMITS_PER_PARTITION
        while True:
            pk = _partition(library, index * COMMITS_PER_PARTITION)
            rows = [row async for row in self._tables.query(Table.JOURNAL, pk, first=_digits(after + 1))]
            if not rows and index > (after + 1) // COMMITS_PER_PARTITION:
                return count
            for row in rows:
                await self._tables.write(Delete(Table.JOURNAL, Key(pk, str(row["sk"]))))
            count, index = count + len(rows), index + 1

    async def open(self, library: str, head: Head) -> None:
        """The journal is whole up to ``head``: the library is there again. Raises ``ConditionFailed``: it was."""
        key = _head_key(library)
        row: Row = {"pk": key.pk, "sk": key.sk, "seq": head.seq, "epoch": head.epoch, "incarnation": head.incarnation}
        await self._tables.write(Put(Table.JOURNAL, row, Absent()))

    async def outcome(self, command: str) -> Outcome | None:
        """What became of a command, or None: not decided yet, or longer ago than 30 days."""
        row = await self._tables.get(Table.OUTCOMES, _outcome_key(command))
        return None if row is None else unpack(Outcome, row["body"])

    async def outcomes(self, commands: Sequence[str]) -> dict[str, Outcome]:
        """The outcomes of those of many commands that have one, in batches."""
        keys = {_outcome_key(command): command for command in commands}
        rows = await self._tables.get_many(Table.OUTCOMES, list(keys)) if keys else {}
        return {keys[key]: unpack(Outcome, row["body"]) for key, row in rows.items()}

    async def _by_key(self, library: str, after: int, upto: int) -> AsyncIterator[Row]:
        keys = [commit_key(library, seq) for seq in range(after + 1, upto + 1)]
        rows = await self._tables.get_many(Table.JOURNAL, keys) if keys else {}
        for key in keys:
            row = rows.get(key)
            if row is None:
                continue
            yield row
            rest = [part_key(key, part) for part in range(1, _parts(row))]
            parts = await self._tables.get_many(Table.JOURNAL, rest) if rest else {}
            for part in rest:
                if part in parts:
                    yield parts[part]

    async def _by_query(self, library: str, after: int, upto: int) -> AsyncIterator[Row]:
        for index in range((after + 1) // COMMITS_PER_PARTITION, upto // COMMITS_PER_PARTITION + 1):
            pk = _partition(library, index * COMMITS_PER_PARTITION)
            rows = self._tables.query(Table.JOURNAL, pk, first=_digits(after + 1), last=f"{_digits(upto)}~")
            async for row in rows:
                yield row


def commit_key(library: str, seq: int) -> Key:
    return Key(_partition(library, seq), _digits(seq))


def part_key(key: Key, part: int) -> Key:
    return Key(key.pk, f"{key.sk}#{part:02d}")


def _commit_puts(commit: Commit) -> list[Put]:
    """The rows of a commit: one, or several when it is large."""
    body = pack(commit)
    if len(body) > COMMIT_BYTES_MAX:
        raise Refused("commit-too-large", "The changes are too many for one commit; ask for fewer at a time.")
    bodies = [body[start : start + PART_BYTES_MAX] for start in range(0, len(body), PART_BYTES_MAX)]
    first = commit_key(commit.library, commit.seq)
    puts: list[Put] = []
    for part, some in enumerate(bodies):
        key = part_key(first, part) if part else first
        row: dict[str, Value] = {"pk": key.pk, "sk": key.sk, "body": some}
        if part == 0 and len(bodies) > 1:
            row["parts"] = len(bodies)
        puts.append(Put(Table.JOURNAL, row, Absent()))
    return puts


def _parts(row: Row) -> int:
    return number(row, "parts") if "parts" in row else 1


async def _bodies(rows: AsyncIterator[Row]) -> AsyncIterator[bytes]:
    """The packed commits that rows in order make up; one that lacks a part ends them."""
    body, missing = b"", 0
    async for row in rows:
        first = "#" not in str(row["sk"])
        if first == bool(missing):
            return
        missing = _parts(row) - 1 if first else missing - 1
        body = blob(row, "body") if first else body + blob(row, "body")
        if not missing:
            yield body


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
    body = pack(outcome)
    if len(body) > PART_BYTES_MAX:
        raise Refused("commit-too-large", "The results are too many for one command; ask for fewer at a time.")
    return {"pk": key.pk, "sk": key.sk, "body": body, "expires_at": now_ms // 1000 + OUTCOME_KEPT_S}
