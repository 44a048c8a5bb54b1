"""A client and its disk as plain dictionaries: carries plans out against the real decisions of the domain.

What a person may do is done by ``Person``-like methods; ``step`` is one round of list, scan, plan, apply. Every
content is written once, so that what becomes of it can be followed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count
from random import Random
from typing import TypeVar

import msgspec

from syncline.client.apart import Rules, apart
from syncline.client.matching import ASIDE_PREFIX
from syncline.client.operations import (
    Agree,
    Fetch,
    Forget,
    LocalStep,
    MakeHere,
    MoveHere,
    Plan,
    RemoveHere,
    SendFile,
    SendFolder,
    SendMove,
    SendRemove,
)
from syncline.client.planner import plan
from syncline.client.trees import Base, BaseNode, Content, Local, LocalEntry, Remote, RemoteNode, Stat
from syncline.domain import commands as c
from syncline.domain.checksums import checksum_of
from syncline.domain.commits import Result, Status
from syncline.domain.deciding import decide
from syncline.domain.nodes import Kind, Location, Node
from syncline.domain.paths import clean_name
from syncline.domain.tree import Tree

LIBRARY = "library"
CARRIED_OUT = 0.7
"""How likely an operation is carried out when plans are carried out by chance."""
T = TypeVar("T")
TOOK_EFFECT = (Status.APPLIED, Status.UNCHANGED, Status.CONFLICT)


@dataclass
class Service:
    """One library; decides commands at once."""

    tree: Tree = field(default_factory=lambda: Tree(LIBRARY))
    contents: dict[str, bytes] = field(default_factory=dict)
    serial: count[int] = field(default_factory=lambda: count(1))

    def new_id(self) -> str:
        return f"id{next(self.serial)}"

    def decide(self, device: str, requests: list[c.Request]) -> tuple[Result, ...]:
        command = c.Command(self.new_id(), LIBRARY, device, device, next(self.serial), 1, tuple(requests))
        landed = {
            r.permit.id: Location(r.permit.key, "v", 0, r.permit.size_bytes)
            for r in requests
            if isinstance(r, c.AddVersion)
        }
        seq = self.tree.seq + 1
        decision = decide(self.tree, command, landed, seq=seq, now_ms=1_795_435_200_000, device_name=device)
        if decision.commit is not None:
            self.tree.apply(decision.commit)
        return decision.outcome.results

    def remote(self) -> Remote:
        nodes = {node.id: _remote(node) for node in self.tree.live_nodes()}
        return Remote(LIBRARY, nodes, self.tree.seq)

    def bytes_of(self, node: RemoteNode) -> bytes:
        return self.contents[node.key]

    def files(self) -> dict[str, bytes]:
        live = self.tree.live_nodes()
        return {self.tree.path(n): self.contents[n.version.location.key] for n in live if n.version}

    def paths(self) -> set[str]:
        return {self.tree.path(node) for node in self.tree.live_nodes()}


def _remote(node: Node) -> RemoteNode:
    version = node.version
    if version is None:
        return RemoteNode(node.id, node.parent, node.name, node.kind, node.seq)
    content = Content(version.size_bytes, version.checksum, version.executable)
    return RemoteNode(
        node.id, node.parent, node.name, node.kind, node.seq, version.id, content, 0, version.location.key
    )


@dataclass
class Thing:
    """A file (with bytes) or a folder on the disk."""

    inode: int
    body: bytes | None = None
    executable: bool = False


@dataclass
class ModelClient:
    service: Service
    device: str
    disk: dict[str, Thing] = field(default_factory=dict)
    base: dict[str, BaseNode] = field(default_factory=dict)
    inodes: count[int] = field(default_factory=lambda: count(1))
    destroyed: set[bytes] = field(default_factory=set)
    removed_unseen: list[str] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)
    rules: Rules = field(default_factory=Rules)

    # -- the person

    def write(self, path: str, body: bytes) -> None:
        thing = self.disk.get(path)
        if thing is not None and thing.body is None:
            return
        if not self._make_folders(path.rpartition("/")[0]):
            return
        if thing is not None and thing.body is not None:
            self.destroyed.add(thing.body)
        self.disk[path] = Thing(thing.inode if thing else next(self.inodes), body)

    def make(self, path: str) -> None:
        self._make_folders(path)

    def _make_folders(self, path: str) -> bool:
        names = path.split("/") if path else []
        for depth in range(1, len(names) + 1):
            at = "/".join(names[:depth])
            thing = self.disk.setdefault(at, Thing(0))
            if thing.body is not None:
                return False
            thing.inode = thing.inode or next(self.inodes)
        return True

    def remove(self, path: str) -> None:
        for at in self._at_and_below(path):
            body = self.disk.pop(at).body
            if body is not None:
                self.destroyed.add(body)

    def move(self, source: str, target: str) -> None:
        inside = f"{target}/".startswith(f"{source}/")
        if source not in self.disk or target in self.disk or inside:
            return
        if self._make_folders(target.rpartition("/")[0]) and source in self.disk:
            self._rename(source, target)

    def _rename(self, source: str, target: str) -> None:
        for at in self._at_and_below(source):
            self.disk[target + at[len(source) :]] = self.disk.pop(at)

    def _at_and_below(self, path: str) -> list[str]:
        return [at for at in self.disk if f"{at}/".startswith(f"{path}/")]

    def files(self) -> dict[str, bytes]:
        return {path: thing.body for path, thing in self.disk.items() if thing.body is not None}

    def local_files(self) -> dict[str, bytes]:
        """The files that are not ignored."""
        heeded = self.local().entries
        return {path: body for path, body in self.files().items() if path in heeded}

    # -- the client

    def local(self) -> Local:
        entries: dict[str, LocalEntry] = {}
        ignored: set[str] = set()
        for path, thing in sorted(self.disk.items()):
            parent, _, name = path.rpartition("/")
            if parent and parent not in entries:
                continue
            if self.rules.ignores.match(path, folder=thing.body is None):
                ignored.add(path)
                continue
            entries[path] = LocalEntry(
                path,
                parent,
                clean_name(name),
                name,
                Kind.FOLDER if thing.body is None else Kind.FILE,
                _stat(thing),
                _content(thing),
            )
        return Local(entries, ignored=frozenset(ignored))

    def step(self, chance: Random | None = None) -> Plan:
        """One round. The plan is made of what both sides are now, and carried out: as it is, or (``chance``) what can
        go in any order in any order, and some of it not at all."""
        remote = self.service.remote()
        self.seen |= remote.nodes.keys()
        planned = plan(
            Base(LIBRARY, dict(self.base)),
            self.local(),
            remote,
            new_id=self.service.new_id,
            allow_removals=True,
            apart=apart(remote, self.rules),
        )
        self._perform(planned if chance is None else _some_of(planned, chance), remote)
        return planned

    def _perform(self, planned: Plan, remote: Remote) -> None:
        for op in planned.noted:
            match op:
                case Agree(base=base):
                    self.base[base.node] = base
                case Forget(node=node):
                    self.base.pop(node, None)
        ids: dict[str, str] = {}
        if planned.tree:
            self._send_tree(planned, remote, ids)
        for step in planned.local:
            self._step(step)
        for fetch in planned.fetches:
            self._fetch(fetch)
        for file in planned.files:
            self._send_file(file, ids)

    def _send_tree(self, planned: Plan, remote: Remote, ids: dict[str, str]) -> None:
        requests: list[c.Request] = []
        for op in planned.tree:
            match op:
                case SendFolder():
                    requests.append(c.MakeFolder(op.node, op.parent, op.name))
                case SendMove():
                    requests.append(c.Move(op.base.node, op.base_seq, op.base.parent, op.base.name))
                case SendRemove():
                    requests.append(c.Remove(op.node, op.base_seq, op.held_all))
                    self.removed_unseen += {op.node, *op.below} - self.base.keys()
        for op, result in zip(planned.tree, self.service.decide(self.device, requests), strict=True):
            self._settle(op, result, ids)

    def _settle(self, op: SendFolder | SendMove | SendRemove, result: Result, ids: dict[str, str]) -> None:
        match op:
            case SendFolder() if result.status in TOOK_EFFECT and result.node in self.base:
                self._merge(op.path, self._path(result.node))
            case SendFolder() if result.status in TOOK_EFFECT:
                ids[op.node] = result.node
                parent = ids.get(op.parent, op.parent)
                self.base[result.node] = BaseNode(
                    result.node, parent, op.here or op.name, op.local_name, Kind.FOLDER, result.seq, stat=op.stat
                )
            case SendMove():
                parent = ids.get(op.base.parent, op.base.parent)
                self.base[op.base.node] = msgspec.structs.replace(op.base, parent=parent)
            case SendRemove() if result.status in TOOK_EFFECT:
                for node in (op.node, *op.below):
                    self.base.pop(node, None)

    def _merge(self, source: str, target: str | None) -> None:
        """One folder for two, nothing replaced."""
        if (
            target is None
            or not self._is_folder(target)
            or source not in self.disk
            or f"{target}/".startswith(f"{source}/")
        ):
            return
        for at in [at for at in self.disk if at.rpartition("/")[0] == source]:
            there = target + at[len(source) :]
            if self._is_folder(at) and there in self.disk and self._is_folder(there):
                self._merge(at, there)
                continue
            names = (f"{there} ({n})" if n > 1 else there for n in count(1))
            self._rename(at, next(name for name in names if name not in self.disk))
        del self.disk[source]

    def _path(self, node: str) -> str | None:
        names: list[str] = []
        while node != LIBRARY:
            if node not in self.base:
                return None
            names.append(self.base[node].local_name)
            node = self.base[node].parent
            assert len(names) <= len(self.base), "the base holds folders in a ring"
        return "/".join(reversed(names))

    def _path_in(self, parent: str, name: str) -> str | None:
        above = self._path(parent)
        return None if above is None else f"{above}/{name}" if above else name

    def _step(self, step: LocalStep) -> None:
        match step:
            case MakeHere(remote=remote):
                path = self._path_in(remote.parent, remote.name)
                if path is None or path in self.disk or not self._is_folder(path.rpartition("/")[0]):
                    return
                self.disk[path] = Thing(next(self.inodes))
                self._agree(remote, self.disk[path])
            case MoveHere():
                source = self._path(step.node)
                target = self._path_in(step.parent, ASIDE_PREFIX + step.node if step.aside else step.name)
                if (
                    source is None
                    or target is None
                    or source not in self.disk
                    or self.disk[source].inode != _inode(self.base[step.node])
                    or not self._is_folder(target.rpartition("/")[0])
                    or (target in self.disk and source != target)
                    or target.startswith(f"{source}/")
                ):
                    return
                self._rename(source, target)
                state = self.base[step.node]
                name = state.name if step.aside else step.name
                self.base[step.node] = msgspec.structs.replace(
                    state, parent=step.parent, name=name, local_name=target.rpartition("/")[2]
                )
            case RemoveHere():
                path = self._path(step.node)
                if path is None or path not in self.disk:
                    return
                if not step.folder:
                    if _content(self.disk[path]) != self.base[step.node].content:
                        return  # as the disk would say: changed
                    del self.disk[path]
                elif len(self._at_and_below(path)) == 1:
                    del self.disk[path]
                del self.base[step.node]

    def _is_folder(self, path: str) -> bool:
        return not path or (path in self.disk and self.disk[path].body is None)

    def _agree(self, remote: RemoteNode, thing: Thing, local_name: str = "") -> None:
        self.base[remote.node] = BaseNode(
            remote.node,
            remote.parent,
            remote.name,
            local_name or remote.name,
            remote.kind,
            remote.seq,
            remote.version,
            remote.content,
            _stat(thing),
        )

    def _fetch(self, fetch: Fetch) -> None:
        remote = fetch.remote
        assert remote.content
        known = self.base.get(remote.node) if fetch.expected else None
        path = self._path(known.node) if known else self._path_in(remote.parent, fetch.local_name or remote.name)
        if path is None or not self._is_folder(path.rpartition("/")[0]):
            return
        there = self.disk.get(path)
        taken = there is not None and fetch.expected is None
        if taken or (_content(there) if there else None) != fetch.content:
            return  # as the disk would say: changed
        self.disk[path] = Thing(next(self.inodes), self.service.bytes_of(remote), remote.content.executable)
        self._agree(remote, self.disk[path], fetch.local_name)
        if known:
            place = {"parent": known.parent, "name": known.name, "local_name": known.local_name}
            self.base[remote.node] = msgspec.structs.replace(self.base[remote.node], **place)

    def _send_file(self, file: SendFile, ids: dict[str, str]) -> None:
        parent = ids.get(file.parent, file.parent)
        path = self._path(file.node) if file.node in self.base else self._path_in(parent, file.local_name)
        thing = self.disk.get(path) if path is not None else None
        if path is None or thing is None or thing.body is None or _content(thing) != file.content:
            return
        permit_id = self.service.new_id()
        permit = c.Permit(
            id=permit_id,
            grant="g",
            library=LIBRARY,
            account=self.device,
            device=self.device,
            counter=next(self.service.serial),
            epoch=1,
            key=permit_id,
            node=file.node or self.service.new_id(),
            new=not file.node,
            parent="" if file.node else parent,
            name="" if file.node else file.name,
            base_version=file.base_version,
            size_bytes=file.content.size_bytes,
            checksum=file.content.checksum,
            mtime_ns=0,
            executable=file.content.executable,
            expires_at=2**40,
        )
        self.service.contents[permit_id] = thing.body
        (result,) = self.service.decide(self.device, [c.AddVersion(permit)])
        if result.status is Status.REFUSED:
            return
        known = self.base.pop(file.node, None)
        place = (known.parent, known.name, known.local_name) if known else (parent, file.name, file.local_name)
        held = self._path(result.node) if result.node in self.base else None
        if held is not None and held != path and held in self.disk and _content(self.disk[held]) == file.content:
            del self.disk[path]  # one node, two files with the same bytes
            return
        self.base[result.node] = BaseNode(
            result.node, *place, Kind.FILE, result.seq, result.version, file.content, _stat(thing)
        )


def _some_of(planned: Plan, chance: Random) -> Plan:
    """A plan with its downloads and uploads in another order, and without some of what is done on the disk; or one that
    was cut short while the library was being told."""

    def some(ops: Sequence[T]) -> list[T]:
        return [op for op in ops if chance.random() < CARRIED_OUT]

    if chance.random() > CARRIED_OUT:
        return Plan(noted=planned.noted, tree=planned.tree[: chance.randint(0, len(planned.tree))])
    fetches, files = some(planned.fetches), some(planned.files)
    chance.shuffle(fetches)
    chance.shuffle(files)
    return Plan(noted=planned.noted, tree=planned.tree, local=some(planned.local), fetches=fetches, files=files)


def _inode(base: BaseNode) -> int:
    assert base.stat
    return base.stat.inode


def _stat(thing: Thing) -> Stat:
    return Stat(len(thing.body or b""), 0, 0, thing.inode)


def _content(thing: Thing) -> Content | None:
    return None if thing.body is None else Content(len(thing.body), checksum_of(thing.body), thing.executable)
