"""A folder that holds 10,000 files gets another name: changes, bytes on the wire, and seconds until bob has it too.

    python -m bench.bench_folder_rename [--files N] [--rounds N] [--data DIR] [--json]

Both daemons watch. Alice's requests to the service go through a counting wire, and so do all to S3, hers and bob's.
Then ``rclone bisync`` (``rclone.py``) sends the same rename of the same tree to S3; another client would have to fetch
the files yet. Medians over the rounds, each of which goes there and back.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from bench.rclone import FAST, Rclone
from bench.two_clients import TREE, TwoClients, arguments, daemons, make_tree, run, say, two_clients
from bench.wire import Wire
from deploy.local.people import Person
from syncline.client.api import Api
from syncline.client.home import Home, SessionFile

RENAMED = "another name"
ARRIVE_S_MAX = 600.0
LOOK_S = 0.005


@dataclass(frozen=True)
class Moved:
    """What one rename took. ``changes`` are those in the library's journal; rclone has none."""

    files: int
    seconds: float
    sent_bytes: int
    s3_sent_bytes: int
    changes: int = 0


def rename(clients: TwoClients, files: int, service: Wire, s3: Wire, names: tuple[str, str]) -> Moved:
    """One rename by alice, until bob has every file by its new name and none by the old one."""
    before, after = names
    cursor = asyncio.run(head(clients.alice))
    sent, s3_sent = service.sent, s3.sent
    began = time.monotonic()
    (clients.alice.folder / before).rename(clients.alice.folder / after)
    there = clients.bob.folder
    while (there / before).exists() or not (there / after).exists():
        if time.monotonic() - began > ARRIVE_S_MAX:
            raise SystemExit(f"{after} did not arrive within {ARRIVE_S_MAX:.0f} s")
        time.sleep(LOOK_S)
    seconds = time.monotonic() - began
    if (found := sum(path.is_file() for path in (there / after).rglob("*"))) != files:
        raise SystemExit(f"{found} files arrived, not {files}")
    for person in (clients.alice, clients.bob):
        run(person, "sync")  # what is still to come counts as well
    return Moved(
        files, seconds, service.sent - sent, s3.sent - s3_sent, asyncio.run(changes_after(clients.alice, cursor))
    )


async def head(person: Person) -> str:
    """The cursor of the person's one library."""
    async with Api(person.server, SessionFile(Home(person.home))) as api:
        return (await api.heads()).heads[0].cursor


async def changes_after(person: Person, cursor: str) -> int:
    async with Api(person.server, SessionFile(Home(person.home))) as api:
        library, count, more = (await api.heads()).heads[0].library, 0, True
        while more:
            page = await api.changes(library, cursor)
            count, cursor, more = count + len(page.changes), page.cursor, page.more
    return count


@contextmanager
def by_wire(person: Person, wire: Wire) -> Iterator[Person]:
    """The person, whose commands and daemon reach the service through the wire."""
    sessions = SessionFile(Home(person.home))
    session = sessions.load()
    assert session is not None
    sessions.save(msgspec.structs.replace(session, server=wire.url))
    try:
        yield replace(person, server=wire.url)
    finally:
        session = sessions.load()
        assert session is not None
        sessions.save(msgspec.structs.replace(session, server=person.server))


def by_syncline(clients: TwoClients, files: int, rounds: int, s3: Wire) -> list[Moved]:
    found = []
    with (
        Wire(clients.place.ports.front) as service,
        by_wire(clients.alice, service) as alice,
        daemons(alice, clients.bob),
    ):
        wired = replace(clients, alice=alice)
        for names in [(TREE, RENAMED), (RENAMED, TREE)] * rounds:
            moved = rename(wired, files, service, s3, names)
            say(f"from {names[0]} to {names[1]}: {moved}")
            found.append(moved)
    return found


def by_rclone(clients: TwoClients, files: int, s3: Wire) -> Moved:
    """The same by ``rclone bisync``, in a folder of its own and, after its name, a new place in the bucket."""
    with TemporaryDirectory(prefix="rclone-", dir=clients.place.data) as made:
        folder = Path(made)
        make_tree(folder / TREE, files)
        rclone = Rclone(clients.place, folder, s3.url, FAST)
        say(f"rclone bisync --resync: {rclone.resync().seconds:.1f} s")
        sent = s3.sent
        (folder / TREE).rename(folder / RENAMED)
        # More than half of all files gone: more than it does unasked.
        spent = rclone.bisync("--force")
    return Moved(files, spent.seconds, 0, s3.sent - sent)


def main() -> None:
    options = arguments(__doc__, rounds=3).parse_args()
    with Wire() as s3, two_clients(options.data, options.files, f"SYNCLINE_S3_PUBLIC_ENDPOINT={s3.url}") as clients:
        s3.to_port = clients.place.ports.aws
        ours = by_syncline(clients, options.files, options.rounds, s3)
        theirs = by_rclone(clients, options.files, s3)
    median = Moved(
        options.files,
        *(
            statistics.median(getattr(moved, name) for moved in ours)
            for name in ("seconds", "sent_bytes", "s3_sent_bytes", "changes")
        ),
    )
    if options.json:
        print(json.dumps({"syncline": [asdict(moved) for moved in ours], "rclone": asdict(theirs)}))
        return
    sent = f"{median.sent_bytes:,.0f} bytes to the service, {median.s3_sent_bytes:,.0f} to S3"
    print(f"syncline: {median.files:,} files, {median.changes:g} change, {sent}; over there in {median.seconds:.2f} s")
    print(f"rclone:   {theirs.files:,} files, {theirs.s3_sent_bytes:,} bytes to S3 in {theirs.seconds:.2f} s")


if __name__ == "__main__":
    main()
