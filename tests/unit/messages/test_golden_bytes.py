"""The wire forms are frozen: a change here means that running services and stored data must cope with it.

Run ``python -m tests.unit.messages.test_golden_bytes`` to print the present bytes; change the files under ``golden/``
only together with a new minor version (fields added at the end) or a new major one.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from syncline.domain.commands import Command, Permit
from syncline.domain.commits import Commit, Outcome
from syncline.messages import accounts_touched, commit_changes, library_moved, outcome_ready, send_letter
from syncline.messages.envelope import unseal
from tests.unit.messages import examples

GOLDEN = Path(__file__).parent / "golden"

MOVED = library_moved.LibraryMoved(examples.LIBRARY, 4, "inc", 1_700_000_000_000, examples.TRACE)
CHANGES = commit_changes.CommitChanges(examples.COMMAND)
TOUCHED = accounts_touched.AccountsTouched(("a" * 20, "b" * 20))
LETTER = send_letter.SendLetter(
    "s" * 20, send_letter.Letter.INVITATION, "", {"invitation": "i" * 20}, "en", 1_700_000_000
)

WIRE_FORMS: dict[str, bytes] = {
    "commit_changes": commit_changes.encode(CHANGES),
    "library_moved": library_moved.encode(MOVED),
    "outcome_ready": outcome_ready.encode(examples.OUTCOME),
    "permit": msgspec.msgpack.encode(examples.PERMIT),
    "commit": msgspec.msgpack.encode(examples.COMMIT),
    "outcome": msgspec.msgpack.encode(examples.OUTCOME),
    "accounts_touched": accounts_touched.encode(TOUCHED),
    "send_letter": send_letter.encode(LETTER),
}


@pytest.mark.parametrize("name", WIRE_FORMS)
def test_wire_form_is_what_it_always_was(name: str):
    assert WIRE_FORMS[name].hex() == (GOLDEN / f"{name}.hex").read_text().replace("\n", "")


def golden(name: str) -> bytes:
    return bytes.fromhex((GOLDEN / f"{name}.hex").read_text().replace("\n", ""))


def test_old_bytes_are_still_read():
    assert commit_changes.decode(golden("commit_changes")) == CHANGES
    assert library_moved.decode(golden("library_moved")) == MOVED
    assert outcome_ready.decode(golden("outcome_ready")) == examples.OUTCOME
    assert msgspec.msgpack.decode(golden("permit"), type=Permit) == examples.PERMIT
    assert msgspec.msgpack.decode(golden("commit"), type=Commit) == examples.COMMIT
    assert msgspec.msgpack.decode(golden("outcome"), type=Outcome) == examples.OUTCOME
    assert accounts_touched.decode(golden("accounts_touched")) == TOUCHED
    assert send_letter.decode(golden("send_letter")) == LETTER


def test_bytes_from_before_there_were_symbolic_links_are_still_read():
    before = msgspec.structs.replace(CHANGES, command=msgspec.structs.replace(examples.COMMAND, incarnation=""))
    assert commit_changes.decode(golden("before_symlinks_commit_changes")) == before
    assert msgspec.msgpack.decode(golden("before_symlinks_permit"), type=Permit) == examples.PERMIT
    commit = msgspec.structs.replace(examples.COMMIT, trace="")
    assert msgspec.msgpack.decode(golden("before_symlinks_commit"), type=Commit) == commit


def test_bytes_from_before_there_were_traces_are_still_read():
    assert library_moved.decode(golden("before_traces_library_moved")) == library_moved.LibraryMoved(
        examples.LIBRARY, 4, "inc"
    )
    before = msgspec.structs.replace(examples.COMMIT, trace="")
    assert msgspec.msgpack.decode(golden("before_traces_commit"), type=Commit) == before


def test_readers_from_before_there_were_traces_skip_them():
    class Before(msgspec.Struct, array_like=True):
        library: str
        seq: int
        incarnation: str

    assert unseal("LibraryMoved", 1, Before, WIRE_FORMS["library_moved"]).seq == 4


def test_every_request_survives_the_wire():
    wire = msgspec.msgpack.encode(examples.COMMAND)
    assert msgspec.msgpack.decode(wire, type=Command) == examples.COMMAND


if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    for name, wire in WIRE_FORMS.items():
        text = wire.hex()
        lines = [text[i : i + 100] for i in range(0, len(text), 100)]
        (GOLDEN / f"{name}.hex").write_text("\n".join(lines) + "\n")
