"""What was done to each file, when and why: told by ``syncline log``, kept in the index with what it led to.

An entry is written in the transaction that records the operation, so the log tells neither of what did not happen nor
omits what did. It is bounded by age and by rows; the oldest go first.
"""

from __future__ import annotations

import sqlite3
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterable, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec

from syncline.client.operations import (
    Fetch,
    HeldRemoval,
    MakeHere,
    MoveHere,
    SendFile,
    SendFolder,
    SendMove,
    SendRemove,
    Sent,
)
from syncline.client.summary import Summary
from syncline.domain.commits import Status
from syncline.domain.traceparent import clean_traceparent
from syncline.messages.api import Changes, ResultState, Snapshot

if TYPE_CHECKING:
    from syncline.client.remote_tree import Journal  # which knows the index, which keeps this log

LOG_DAYS_MAX = 180
LOG_ROWS_MAX = 200_000
HEARD_MAX = 20_000
"""So many nodes' last authors are remembered between hearing of a change and carrying it out."""
READ_MAX = 10_000

TABLE = """
CREATE TABLE log (
  id INTEGER PRIMARY KEY, link TEXT NOT NULL, at_ms INTEGER NOT NULL, node TEXT NOT NULL, path TEXT NOT NULL,
  state BLOB NOT NULL);
CREATE INDEX log_by_node ON log (link, node);
CREATE INDEX log_by_path ON log (link, path);
"""


class What(StrEnum):
    """What was done. "here" is this disk, "there" the library."""

    SENT = "sent"
    FETCHED = "fetched"
    AGREED = "agreed"
    MADE_HERE = "made here"
    MADE_THERE = "made there"
    MOVED_HERE = "moved here"
    MOVED_THERE = "moved there"
    REMOVED_HERE = "removed here"
    REMOVED_THERE = "removed there"
    CONFLICT = "conflict"
    KEPT = "kept"
    REFUSED = "refused"
    HELD = "held"
    WAITING = "waiting"
    LEFT_ALONE = "left alone"


class Author(msgspec.Struct, frozen=True):
    """Who made a change in the library: ids of account and device, Unix ms by the service's clock."""

    account: str
    device: str
    at_ms: int


class Entry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that was done. ``path`` is where the file was on this disk, ``to`` where it went (or the name of its
    conflict copy); ``why`` a sentence's end; ``version`` and ``size_bytes`` those of a file's content; ``author`` who
    made the change that was taken over. ``at_ms`` is this machine's time."""

    at_ms: int
    what: What
    path: str
    why: str
    node: str = ""
    to: str = ""
    version: str = ""
    size_bytes: int | None = None
    author: Author | None = None


def now_ms() -> int:
    return time.time_ns() // 1_000_000


# -- the entries of operations


def of_sent(sent: Sent, result: ResultState, path: str) -> Entry:
    """What became of one request."""
    node = result.node or sent_node(sent)
    if result.status is Status.REFUSED:
        why = result.detail or result.reason.replace("-", " ")
        return Entry(at_ms=now_ms(), what=What.REFUSED, path=path, why=why, node=node)
    match sent:
        case SendFile():
            return _of_file(sent, result, path, node)
        case SendFolder():
            if result.status is Status.UNCHANGED:
                why = "a new folder here; the library has one of its name"
                return Entry(at_ms=now_ms(), what=What.AGREED, path=path, why=why, node=node)
            return Entry(at_ms=now_ms(), what=What.MADE_THERE, path=path, why="a new folder here", node=node)
        case SendMove():
            why = "moved or renamed here"
            if result.status is Status.CONFLICT:
                why += f" to a name that was taken; the library calls it {result.name}"
            return Entry(at_ms=now_ms(), what=What.MOVED_THERE, path=path, why=why, node=node, to=sent.path)
        case SendRemove():
            if result.status is Status.KEPT:
                why = "removed here, but changed by someone else meanwhile"
                return Entry(at_ms=now_ms(), what=What.KEPT, path=path, why=why, node=node)
            return Entry(at_ms=now_ms(), what=What.REMOVED_THERE, path=path, why="removed here", node=node)


def sent_node(sent: Sent) -> str:
    return sent.base.node if isinstance(sent, SendMove) else sent.node


def _of_file(sent: SendFile, result: ResultState, path: str, node: str) -> Entry:
    what, to = What.SENT, ""
    why = "changed here" if sent.node else "new here"
    if result.status is Status.CONFLICT:
        what, to = What.CONFLICT, result.name
        why = "changed here and by someone else" if sent.node else "new here under a name that someone else gave too"
    elif result.status is Status.UNCHANGED:
        what, why = What.AGREED, f"{why}, with content that the library has there already"
    elif result.status is Status.LATE:
        why += ", but newer content from this device was there; kept in the history"
    elif sent.source:
        why += "; the library held the bytes already"
    return Entry(
        at_ms=now_ms(),
        what=what,
        path=path,
        why=why,
        node=node,
        to=to,
        version=result.version,
        size_bytes=sent.content.size_bytes,
    )


def of_fetch(fetch: Fetch, path: str, author: Author | None) -> Entry:
    remote = fetch.remote
    why = "new in the library" if fetch.expected is None else "changed in the library"
    if remote.content and fetch.content and remote.content.same_bytes(fetch.content):
        why = "its executable bit was changed in the library"
    return Entry(
        at_ms=now_ms(),
        what=What.FETCHED,
        path=path,
        why="a conflict copy in the library" if remote.conflict_of and fetch.expected is None else why,
        node=remote.node,
        version=remote.version,
        size_bytes=remote.content.size_bytes if remote.content else None,
        author=author,
    )


def of_made(step: MakeHere, path: str, author: Author | None) -> Entry:
    why = "a new folder in the library"
    return Entry(at_ms=now_ms(), what=What.MADE_HERE, path=path, why=why, node=step.remote.node, author=author)


def of_moved(step: MoveHere, path: str, to: str, author: Author | None) -> Entry:
    why = "out of the way, until its new name is free" if step.aside else "moved or renamed in the library"
    return Entry(at_ms=now_ms(), what=What.MOVED_HERE, path=path, why=why, node=step.node, to=to, author=author)


def of_removed(node: str, path: str, author: Author | None) -> Entry:
    why = "removed from the library; it is in the local trash"
    return Entry(at_ms=now_ms(), what=What.REMOVED_HERE, path=path, why=why, node=node, author=author)


def of_twin(node: str, path: str, held: str) -> Entry:
    why = f"the library takes it for {held}, which has the same bytes; it is in the local trash"
    return Entry(at_ms=now_ms(), what=What.REMOVED_HERE, path=path, why=why, node=node)


def of_agreed(node: str, path: str, version: str, size_bytes: int | None) -> Entry:
    why = "found alike here and in the library"
    return Entry(
        at_ms=now_ms(), what=What.AGREED, path=path, why=why, node=node, version=version, size_bytes=size_bytes
    )


def of_left(summary: Summary, held: Sequence[HeldRemoval]) -> list[Entry]:
    """What a pass ended without doing."""
    at_ms = now_ms()

    def why(removal: HeldRemoval) -> str:
        who = "by others" if removal.here else "here"
        return f"removed {who} with so much else that it waits for your word: --allow-removals"

    return [
        *(Entry(at_ms=at_ms, what=What.REFUSED, path=p, why=detail or slug) for p, slug, detail in summary.refused),
        *(Entry(at_ms=at_ms, what=What.WAITING, path=path, why="still being written to") for path in summary.later),
        *(Entry(at_ms=at_ms, what=What.LEFT_ALONE, path=s.path, why=s.detail or s.reason) for s in summary.skipped),
        *(Entry(at_ms=at_ms, what=What.HELD, path=r.path, why=why(r), node=r.node) for r in held),
    ]


# -- who changed what


class Heard:
    """Who last changed which node, as the journal told while it was read. Bounded; the oldest is forgotten first."""

    def __init__(self, most: int = HEARD_MAX) -> None:
        self._most = most
        self._changes: OrderedDict[str, tuple[Author, str]] = OrderedDict()

    def of(self, node: str) -> Author | None:
        heard = self._changes.get(node)
        return heard[0] if heard else None

    def trace_of(self, node: str) -> str:
        """The context (``traceparent``) in which it was changed, or ""."""
        heard = self._changes.get(node)
        return heard[1] if heard else ""

    def hear(self, page: Changes) -> None:
        for change in page.changes:
            author = Author(change.account, change.device, change.at_ms)
            self._changes[change.node.id] = author, clean_traceparent(change.trace)
            self._changes.move_to_end(change.node.id)
        while len(self._changes) > self._most:
            self._changes.popitem(last=False)


class Overheard:
    """A journal, read in ``heard``'s hearing."""

    def __init__(self, journal: Journal, heard: Heard) -> None:
        self._journal = journal
        self._heard = heard

    async def changes(self, library: str, cursor: str = "") -> Changes:
        page = await self._journal.changes(library, cursor)
        self._heard.hear(page)
        return page

    async def snapshot(self, library: str) -> Snapshot | None:
        return await self._journal.snapshot(library)

    def snapshot_bytes(self, snapshot: Snapshot) -> AsyncIterator[bytes]:
        return self._journal.snapshot_bytes(snapshot)


# -- the table, within a transaction of the index


def write(db: sqlite3.Connection, link: str, entries: Iterable[Entry]) -> None:
    rows = [(link, entry.at_ms, entry.node, entry.path, _encode(entry)) for entry in entries]
    db.executemany("INSERT INTO log (link, at_ms, node, path, state) VALUES (?,?,?,?,?)", rows)


def write_news(db: sqlite3.Connection, link: str, entries: Iterable[Entry]) -> None:
    """Of what is found anew in each pass (refused, held, waiting, left alone): only what the log did not end with."""
    news = []
    for entry in entries:
        path = entry.path.encode(errors="replace").decode()  # what is left alone may have a name that is no text
        entry = msgspec.structs.replace(entry, path=path)
        query = "SELECT state FROM log WHERE link = ? AND path = ? ORDER BY id DESC LIMIT 1"
        row = db.execute(query, (link, entry.path)).fetchone()
        last = _decode(row[0]) if row else None
        if last is None or (last.what, last.why) != (entry.what, entry.why):
            news.append(entry)
    write(db, link, news)


def prune(db: sqlite3.Connection, at_ms: int, *, rows_max: int = LOG_ROWS_MAX) -> None:
    """Drop what is older than ``LOG_DAYS_MAX``, and all but the last ``rows_max``."""
    last = db.execute("SELECT max(id) FROM log").fetchone()[0] or 0
    # Rows are written as time goes on, so the first that is young enough ends what is too old.
    old = at_ms - LOG_DAYS_MAX * 86_400_000
    while (row := db.execute("SELECT id, at_ms FROM log ORDER BY id LIMIT 1").fetchone()) and row[1] < old:
        db.execute("DELETE FROM log WHERE id < ? AND at_ms < ?", (row[0] + 1_000, old))
    db.execute("DELETE FROM log WHERE id <= ?", (last - rows_max,))


def read(
    db: sqlite3.Connection, link: str, path: str, nodes: Sequence[str], *, since_ms: int, limit: int
) -> list[Entry]:
    """The last ``limit`` entries, oldest first: of these nodes, of the path, and of all under it."""
    below = (f"{path}/", f"{path}0") if path else ("", "\U0010ffff")  # "0" follows "/"
    where = " OR ".join(["path = ?", "path >= ? AND path < ?", *["node = ?"] * len(nodes)])
    query = f"SELECT state FROM log WHERE link = ? AND at_ms >= ? AND ({where}) ORDER BY id DESC LIMIT ?"  # noqa: S608
    rows = db.execute(query, (link, since_ms, path, *below, *nodes, min(limit, READ_MAX))).fetchall()
    return [_decode(row[0]) for row in reversed(rows)]


def nodes_at(db: sqlite3.Connection, link: str, path: str) -> list[str]:
    """The nodes that were at a path, the latest first; also those that came to it by a move."""
    query = "SELECT node, max(id) FROM log WHERE link = ? AND path = ? AND node != '' GROUP BY node ORDER BY 2 DESC"
    return [row[0] for row in db.execute(query, (link, path)).fetchall()]


_encode = msgspec.msgpack.encode
_decode = msgspec.msgpack.Decoder(Entry).decode
