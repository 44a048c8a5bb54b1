"""One example of everything that travels or is stored as msgpack, used for the golden bytes."""

from __future__ import annotations

from syncline.domain import commands
from syncline.domain.commits import Change, Commit, Effect, Outcome, Purged, Restored, Result, Status
from syncline.domain.nodes import Author, Kind, Location, Node, Place, Version

LIBRARY = "l" * 20
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
CHECKSUM = "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ="

PERMIT = commands.Permit(
    id="p" * 20,
    grant="g" * 20,
    library=LIBRARY,
    account="a" * 20,
    device="d" * 20,
    counter=7,
    epoch=2,
    key=f"objects/{LIBRARY}/{'g' * 20}/{'p' * 20}",
    node="n" * 20,
    new=True,
    parent=LIBRARY,
    name="plan.txt",
    base_version="",
    size_bytes=5,
    checksum=CHECKSUM,
    mtime_ns=1_700_000_000_123_456_789,
    executable=False,
    expires_at=1_700_000_900,
)

COMMAND = commands.Command(
    id="c" * 20,
    library=LIBRARY,
    account="a" * 20,
    device="d" * 20,
    counter=8,
    epoch=2,
    requests=(
        commands.AddVersion(PERMIT),
        commands.CopyVersion("v" * 20, "p" * 20, "m" * 20, True, LIBRARY, "copy.txt", "", 5, CHECKSUM, 1, True),
        commands.MakeFolder("f" * 20, LIBRARY, "papers"),
        commands.Move("n" * 20, 3, "f" * 20, "plan.txt"),
        commands.Remove("o" * 20, 3, True),
        commands.Withdraw("q" * 20),
        commands.Revive("r" * 20, "f" * 20, "papers", True),
        commands.Purge("n" * 20, ("s" * 20,), 3),
    ),
    all_or_nothing=True,
    incarnation="inc",
)

AUTHOR = Author("a" * 20, "d" * 20, 7, 1_700_000_000_000)
VERSION = Version(
    PERMIT.id, 5, CHECKSUM, Location(PERMIT.key, "s3v1", 0, 5), PERMIT.mtime_ns, PERMIT.executable, AUTHOR
)
NODE = Node("n" * 20, LIBRARY, "plan.txt", Kind.FILE, VERSION, 4, 4, 4, False, AUTHOR)

COMMIT = Commit(
    LIBRARY,
    4,
    COMMAND.id,
    "a" * 20,
    "d" * 20,
    1_700_000_000_000,
    (Change(Effect.ADDED, NODE), Change(Effect.LATE, NODE, Place(LIBRARY, "old.txt"), VERSION)),
    ("q" * 20,),
    (Restored("r" * 20, 2),),
    (Purged("n" * 20, "s" * 20, 1, Location("objects/l/g/s", "s3v0", 0, 5)),),
    TRACE,
)

OUTCOME = Outcome(
    COMMAND.id,
    LIBRARY,
    4,
    (
        Result(Status.APPLIED, NODE.id, 4, VERSION.id, LIBRARY, "plan.txt"),
        Result(Status.KEPT, "o" * 20, 3, kept=("x" * 20,)),
        Result(Status.REFUSED, reason="gone", detail="The node is gone."),
    ),
    incarnation="inc",
)
