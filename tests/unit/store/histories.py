"""Histories of a library that random commands of several devices made, for comparing readers with the whole tree."""

from __future__ import annotations

import hashlib
from random import Random

from syncline.domain.commands import (
    AddVersion,
    Command,
    CopyVersion,
    MakeFolder,
    Move,
    Permit,
    Remove,
    Request,
    Withdraw,
)
from syncline.domain.commits import Commit, Outcome
from syncline.domain.deciding import decide
from syncline.domain.ids import id_from_bytes
from syncline.domain.nodes import Kind, Location
from syncline.domain.permits import object_key
from syncline.domain.tree import Tree

LIBRARY = "l" * 20
ACCOUNT = "a" * 20
DEVICES = ("d" * 20, "e" * 20)
NAMES = ("a", "a b", "a.txt", "b", "ä", "z", "\x01odd", "日本")
START_MS = 1_767_225_600_000


class History:
    """Commits that follow from one another; ``tree`` is at their end."""

    def __init__(self, random: Random, library: str = LIBRARY) -> None:
        self.random = random
        self.library = library
        self.tree = Tree(library)
        self.commits: list[Commit] = []
        self.outcomes: list[Outcome] = []
        self.permits: list[Permit] = []
        self._made = 0

    def go_on(self, commands: int) -> History:
        for _ in range(commands):
            self.ask(*(self.request() for _ in range(self.random.randint(1, 4))))
        return self

    def ask(self, *requests: Request) -> Outcome:
        """Decide a command with these requests and take what comes of it."""
        author = self.random.choice(DEVICES)
        command = Command(self.new_id(), self.library, ACCOUNT, author, self._made, 1, requests)
        landed = {permit.id: Location(permit.key, "v1", 0, permit.size_bytes) for permit in self.permits}
        now_ms = START_MS + self._made
        seq = self.tree.seq + 1
        decision = decide(self.tree, command, landed, seq=seq, now_ms=now_ms, device_name="laptop")
        self.outcomes.append(decision.outcome)
        if decision.commit is not None:
            self.commits.append(decision.commit)
            self.tree.apply(decision.commit)
        return decision.outcome

    def new_id(self) -> str:
        self._made += 1
        return id_from_bytes(hashlib.sha256(f"{self.library}{self._made}".encode()).digest())

    def permit(self, *, node: str = "", parent: str = "", name: str = "", base: str = "", content: str = "") -> Permit:
        """A permit for a version of ``node``, or for a new file when ``node`` is ""."""
        permit_id = self.new_id()
        content = content or permit_id
        permit = Permit(
            id=permit_id,
            grant="g" * 20,
            library=self.library,
            account=ACCOUNT,
            device=self.random.choice(DEVICES),
            counter=self._made,
            epoch=1,
            key=object_key(self.library, "g" * 20, permit_id),
            node=node or self.new_id(),
            new=not node,
            parent=parent,
            name=name,
            base_version=base,
            size_bytes=len(content),
            checksum=hashlib.sha256(content.encode()).hexdigest()[:44],
            mtime_ns=self._made,
            executable=False,
            expires_at=START_MS // 1000 + 900,
        )
        self.permits.append(permit)
        return permit

    def request(self) -> Request:
        random = self.random
        nodes = sorted(self.tree._nodes)  # removed ones too: commands name what they once saw
        node = self.tree.node(random.choice(nodes))
        assert node is not None
        parent = random.choice([n for n in nodes if (f := self.tree.node(n)) is not None and f.kind is Kind.FOLDER])
        name = random.choice(NAMES)
        base_seq = random.randint(0, self.tree.seq)
        choice = random.choice(("new", "new", "update", "folder", "move", "remove", "copy", "withdraw", "replay"))
        if choice == "replay" and self.permits:
            return AddVersion(random.choice(self.permits))
        if choice == "withdraw" and self.permits:
            return Withdraw(random.choice([*(permit.id for permit in self.permits), self.new_id()]))
        if choice == "update" and node.version is not None:
            base = node.version.id if random.random() < 0.7 else self.new_id()
            return AddVersion(self.permit(node=node.id, base=base, content=random.choice(["", "", "same"])))
        if choice == "copy" and node.version is not None:
            version = node.version
            return CopyVersion(
                self.new_id(), version.id, self.new_id(), True, parent, name, "",
                version.size_bytes, version.checksum, 5, False,
            )  # fmt: skip
        if choice == "folder":
            return MakeFolder(self.new_id(), parent, name)
        if choice == "move":
            return Move(node.id, base_seq, parent, name)
        if choice == "remove":
            return Remove(node.id, base_seq, random.random() < 0.7)
        return AddVersion(self.permit(parent=parent, name=name))

    def tree_at(self, seq: int) -> Tree:
        tree = Tree(self.library)
        tree.apply_all(self.commits[:seq])
        return tree
