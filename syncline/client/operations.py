"""What a plan is made of: one value per operation, in the order they are performed.

Operations name nodes, not paths: paths change while a plan is carried out. They are kept in the index together with
the command they went into, so their form is part of the index's schema: fields are only appended, with a default.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from syncline.client.trees import BaseNode, Content, RemoteNode, Stat

# -- what only the index hears of


class Agree(msgspec.Struct, frozen=True, tag="agree"):
    """Both sides hold the same: keep this as base. ``replaces`` is another id the node had in the base, or ""."""

    base: BaseNode
    replaces: str = ""


class Forget(msgspec.Struct, frozen=True, tag="forget"):
    """The node is gone on both sides."""

    node: str


# -- what is asked of the library


class SendFolder(msgspec.Struct, frozen=True, tag="send-folder"):
    """Make the local folder ``path`` a node. ``node`` is the id it shall get; ``here`` its name on this disk, where
    that is not to be its name in the library."""

    node: str
    parent: str
    name: str
    local_name: str
    path: str
    stat: Stat
    here: str = ""


class SendMove(msgspec.Struct, frozen=True, tag="send-move"):
    """Tell the library that a node was moved or renamed here; ``base`` is what will be agreed on then."""

    base: BaseNode
    base_seq: int
    path: str


class SendRemove(msgspec.Struct, frozen=True, tag="send-remove"):
    """Tell the library that a node was removed here. ``below``: nodes that go with it (``held_all``)."""

    node: str
    base_seq: int
    held_all: bool
    path: str
    files: int = 1
    below: tuple[str, ...] = ()


class SendFile(msgspec.Struct, frozen=True, tag="send-file"):
    """Make the content of the local file ``path`` a version: of ``node``, else of a new file in ``parent``.

    ``source`` is a version of this library with the same bytes, "" when none is known: then nothing is sent.
    """

    path: str
    parent: str
    name: str
    local_name: str
    content: Content
    stat: Stat
    node: str = ""
    base_version: str = ""
    source: str = ""


# -- what is done on this disk


class MakeHere(msgspec.Struct, frozen=True, tag="make-here"):
    """Make a folder that the library has."""

    remote: RemoteNode


class MoveHere(msgspec.Struct, frozen=True, tag="move-here"):
    """Give a node the place the library gave it. ``aside``: only out of the way, under a name of our own."""

    node: str
    parent: str
    name: str
    aside: bool = False


class RemoveHere(msgspec.Struct, frozen=True, tag="remove-here"):
    """Put a node that the library no longer has into the trash, if it still is as ``base`` says. ``apart``: the
    library has it still, it is only not to be on this disk; then it needs no trash."""

    node: str
    folder: bool
    apart: bool = False


class Fetch(msgspec.Struct, frozen=True, tag="fetch"):
    """Bring a version here. ``expected`` and ``content``: what the file it replaces must still be, None for a new
    file; ``local_name`` its raw name where that is not in the base."""

    remote: RemoteNode
    expected: Stat | None = None
    content: Content | None = None
    local_name: str = ""


Operation = Agree | Forget | SendFolder | SendMove | SendRemove | SendFile | MakeHere | MoveHere | RemoveHere | Fetch
TreeRequest = SendFolder | SendMove | SendRemove
Sent = SendFolder | SendMove | SendRemove | SendFile
LocalStep = MakeHere | MoveHere | RemoveHere


class Blocked(msgspec.Struct, frozen=True):
    """Something that could not be planned in this round, and why."""

    path: str
    reason: str


class HeldRemoval(msgspec.Struct, frozen=True):
    """A removal of so much that it waits for a person's word. ``here``: others made it, and this disk is to follow;
    otherwise it was made here. ``files``: how many go with it."""

    node: str
    path: str
    files: int
    here: bool


@dataclass(frozen=True)
class Plan:
    """Operations in the order they are to be performed."""

    noted: Sequence[Agree | Forget] = ()
    tree: Sequence[TreeRequest] = ()
    local: Sequence[LocalStep] = ()
    fetches: Sequence[Fetch] = ()
    files: Sequence[SendFile] = ()
    held: Sequence[HeldRemoval] = ()
    blocked: Sequence[Blocked] = ()

    @property
    def empty(self) -> bool:
        """Whether there is nothing to do (what is held or blocked does not count)."""
        return not (self.noted or self.tree or self.local or self.fetches or self.files)
