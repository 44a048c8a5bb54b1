"""Trees to begin with, and what becomes of them: plain numbers that Hypothesis can make, and make smaller.

A shape is a tree whose things have keys. A key stays with its thing through every move and edit, as an inode does on
a disk and an id does in a library.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from hypothesis import strategies as st

ROOT = 0
NAMES = ("a", "b", "c", "d")
KEPT = "kept"
"""The name of files that stay as they are, for a folder to be known by."""

Seed = tuple[int, int, bool]
"""(which folder, which name, whether it is a folder)."""
Act = tuple[str, int, int, int]
"""(what, which thing, which folder, which name)."""

BENIGN = ("edit", "add", "add folder")
ARRANGING = ("move", "rename", "swap", "nest")
ACTS = (*BENIGN, *ARRANGING, "move", "remove", "replace", "use inode again", "move and edit")

_small = st.integers(0, 15)
seeds = st.lists(st.tuples(_small, _small, st.booleans()), max_size=14)


def acts(kinds: Iterable[str] = ACTS, max_size: int = 8) -> st.SearchStrategy[list[Act]]:
    return st.lists(st.tuples(st.sampled_from(tuple(kinds)), _small, _small, _small), max_size=max_size)


@dataclass(frozen=True)
class Placed:
    """A file (with bytes) or folder of a shape."""

    parent: int
    name: str
    body: bytes | None


class Shape:
    """A tree by key."""

    def __init__(self, who: str, placed: dict[int, Placed], next_key: int) -> None:
        self.who = who
        self.placed = dict(placed)
        self.next_key = next_key
        self.written: list[bytes] = []

    # -- looking

    def folders(self) -> list[int]:
        return [ROOT, *(key for key, thing in self.placed.items() if thing.body is None)]

    def at(self, parent: int, name: str) -> int | None:
        return next((k for k, thing in self.placed.items() if (thing.parent, thing.name) == (parent, name)), None)

    def path(self, key: int) -> str:
        names = []
        while key != ROOT:
            names.append(self.placed[key].name)
            key = self.placed[key].parent
        return "/".join(reversed(names))

    def paths(self) -> dict[str, int]:
        return {self.path(key): key for key in self.placed}

    def is_inside(self, key: int, folder: int) -> bool:
        while key not in (ROOT, folder):
            key = self.placed[key].parent
        return key == folder

    def bodies(self) -> set[bytes]:
        return {thing.body for thing in self.placed.values() if thing.body is not None}

    # -- changing

    def add(self, parent: int, name: str, folder: bool, *, key: int = 0) -> None:
        if self.at(parent, name) is not None:
            return
        if not key:
            key, self.next_key = self.next_key, self.next_key + 1
        self.placed[key] = Placed(parent, name, None if folder else self._body())

    def move(self, key: int, parent: int, name: str) -> None:
        """To a place; who has it gets this one's, if that does not put a folder into itself."""
        if self.is_inside(parent, key):
            return
        holder = self.at(parent, name)
        thing = self.placed[key]
        if holder is not None and holder != key:
            if self.is_inside(thing.parent, holder):
                return
            self.placed[holder] = replace(self.placed[holder], parent=thing.parent, name=thing.name)
        self.placed[key] = replace(thing, parent=parent, name=name)

    def nest(self, outer: int, inner: int) -> None:
        """A folder below another comes out of it, and takes that one in."""
        if ROOT in (outer, inner) or outer == inner or not self.is_inside(inner, outer):
            return
        within, around = self.placed[inner], self.placed[outer]
        if self.at(around.parent, within.name) not in (None, outer) or self.at(inner, around.name) is not None:
            return
        self.placed[inner] = replace(within, parent=around.parent)
        self.placed[outer] = replace(around, parent=inner)

    def remove(self, key: int) -> None:
        for below in [k for k in self.placed if self.is_inside(k, key)]:
            del self.placed[below]

    def edit(self, key: int) -> None:
        if self.placed[key].body is not None:
            self.placed[key] = replace(self.placed[key], body=self._body())

    def act(self, act: Act) -> None:
        what, which, where, named = act
        folders = self.folders()
        folder, name = folders[where % len(folders)], NAMES[named % len(NAMES)]
        if what in ("add", "add folder"):
            self.add(folder, name if named < len(NAMES) else f"{name} of {self.who}", what == "add folder")
        elif keys := [key for key, thing in self.placed.items() if thing.name != KEPT]:
            self._act_on(what, keys[which % len(keys)], folder, name)

    def _act_on(self, what: str, key: int, folder: int, name: str) -> None:
        thing = self.placed[key]
        match what:
            case "edit":
                self.edit(key)
            case "move":
                self.move(key, folder, name)
            case "rename":
                self.move(key, thing.parent, name)
            case "swap" if folder != ROOT and not self.is_inside(folder, key) and not self.is_inside(key, folder):
                self.move(key, self.placed[folder].parent, self.placed[folder].name)
            case "nest":
                self.nest(key, folder)
            case "remove":
                self.remove(key)
            case "replace":
                self.remove(key)
                self.add(thing.parent, thing.name, thing.body is not None)
            case "use inode again":
                self.remove(key)
                if folder in self.folders():
                    self.add(folder, name, thing.body is None, key=key)
            case "move and edit":
                self.move(key, folder, name)
                self.edit(key)

    def _body(self) -> bytes:
        body = f"{self.next_key} {len(self.written)} {self.who}".encode()
        self.written.append(body)
        return body


def grown(seeds: Iterable[Seed], *, none_empty: bool = False) -> Shape:
    shape = Shape("alice", {}, 1)
    for where, named, is_folder in seeds:
        folders = shape.folders()
        shape.add(folders[where % len(folders)], NAMES[named % len(NAMES)], is_folder)
    for folder in shape.folders() if none_empty else ():
        shape.add(folder, KEPT, False)
    return shape


def perturbed(shape: Shape, who: str, acts: Iterable[Act]) -> Shape:
    """Another tree, made of this one; keys of things that were there before are the same."""
    other = Shape(who, shape.placed, shape.next_key + 1000 * (1 + len(who)))
    for act in acts:
        other.act(act)
    return other
