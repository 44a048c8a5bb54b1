"""The service and S3 in process, made of the domain itself: permits are sealed and opened, objects checked against
them, commands decided. Faults are configured: a hook hears of every step and may raise."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field

import msgspec

from syncline.client.credentials import Permissions
from syncline.client.s3 import Credentials, Stored
from syncline.client.s3_xml import Part
from syncline.domain import commands as c
from syncline.domain.checksums import checksum_of, is_multipart
from syncline.domain.commits import Change, Commit, Effect, Outcome
from syncline.domain.cursors import Cursor, decode_cursor, encode_cursor
from syncline.domain.deciding import decide
from syncline.domain.errors import ConditionFailed, NotFound, Refused, Temporary
from syncline.domain.ids import id_from_bytes
from syncline.domain.nodes import Location, Node, Version
from syncline.domain.permits import PermitKey, PermitKeys, check_landed, object_key, open_permit, seal_permit
from syncline.domain.rights import Role
from syncline.domain.tree import Tree
from syncline.messages import api as m
from syncline.messages.tree_stream import Begin, TreeEncoder

KEYS = PermitKeys((PermitKey("k1", b"a secret of at least thirty-two bytes"),))
START_S = 1_795_435_200
INCARNATION = "one"

Hook = Callable[[str], None]


def quiet(_: str) -> None:
    """Hears of a step and lets it happen."""


@dataclass
class Stack:
    """What everybody shares: one library, its objects, a clock that goes on by itself."""

    library: str = field(default_factory=lambda: id_from_bytes(b"the library's id!"))
    objects: dict[tuple[str, str], tuple[bytes, str, dict[str, str], int]] = field(default_factory=dict)
    current: dict[str, str] = field(default_factory=dict)
    uploads: dict[str, dict[int, bytes]] = field(default_factory=dict)
    commits: list[Commit] = field(default_factory=list)
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    bodies: dict[str, bytes] = field(default_factory=dict)
    incarnation: str = INCARNATION
    serial: int = 0
    page_commits: int = 3
    snapshot_seq: int = 0
    snapshot_damaged: bool = False
    kept: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.tree = Tree(self.library)

    def next(self) -> int:
        self.serial += 1
        return self.serial

    def new_id(self) -> str:
        return id_from_bytes(hashlib.sha256(f"id {self.next()}".encode()).digest())

    def bytes_of(self, node: Node) -> bytes:
        assert node.version
        return self.objects[node.version.location.key, node.version.location.s3_version][0]

    def files(self) -> dict[str, bytes]:
        """Path → bytes of every live file."""
        return {self.tree.path(n): self.bytes_of(n) for n in self.tree.live_nodes() if n.version}

    def paths(self) -> set[str]:
        return {self.tree.path(n) for n in self.tree.live_nodes()}

    def contents(self) -> set[bytes]:
        """Every content that was ever made a version."""
        return {
            self.objects[change.node.version.location.key, change.node.version.location.s3_version][0]
            for commit in self.commits
            for change in commit.changes
            if change.node.version
        }


@dataclass
class FakeService:
    """The gateway and syncer as one signed-in device sees them. Satisfies ``one_pass.Service``."""

    stack: Stack
    device: str
    hook: Hook = quiet
    role: Role = Role.OWNER
    answers_late: int = 0

    async def library(self, library: str) -> m.Library:
        if library != self.stack.library:
            raise Refused("no-such-library", "There is no such library.", status=404)
        cursor = encode_cursor(Cursor(self.stack.incarnation, self.stack.tree.seq))
        return m.Library(
            id=library, name="Shared", role=self.role, seq=self.stack.tree.seq, cursor=cursor, created_at_ms=0
        )

    async def uploads(self, library: str, request: m.UploadRequest) -> m.UploadAnswer:
        self.hook("uploads")
        if self.role is Role.VIEWER:
            raise Refused("not-allowed", "Viewers do not upload.", status=403)
        grant = request.grant or self.stack.new_id()
        permits = [self._permit(intent, grant) for intent in request.intents]
        return m.UploadAnswer(grant=grant, credential=self._credential(grant), permits=permits)

    async def downloads(self, library: str) -> m.DownloadAnswer:
        self.hook("downloads")
        return m.DownloadAnswer(credential=self._credential(""))

    def _credential(self, grant: str) -> m.S3Credential:
        return m.S3Credential(
            access_key_id=f"ASIA{grant}",
            secret_access_key="secret",
            session_token="token",
            expires_at=2**40,
            bucket="bucket",
            region="eu-central-1",
            endpoint="",
        )

    def _permit(self, intent: m.Intent, grant: str) -> m.Permitted:
        stack, permit_id = self.stack, self.stack.new_id()
        key = object_key(stack.library, grant, permit_id)
        permit = c.Permit(
            id=permit_id,
            grant=grant,
            library=stack.library,
            account=f"{self.device}'s",
            device=self.device,
            counter=intent.counter,
            epoch=1,
            key=key,
            node=intent.node or stack.new_id(),
            new=not intent.node,
            parent=intent.parent,
            name=intent.name,
            base_version=intent.base_version,
            size_bytes=intent.size_bytes,
            checksum=intent.checksum,
            mtime_ns=intent.mtime_ns,
            executable=intent.executable,
            expires_at=START_S + 10**9,
            symlink=intent.symlink,
        )
        return m.Permitted(node=permit.node, version=permit.id, key=key, permit=seal_permit(permit, KEYS))

    async def commit(self, library: str, body: bytes, *, key: str) -> m.CommitAnswer:
        self.hook("commit")
        if self.role is Role.VIEWER:
            raise Refused("not-allowed", "Viewers do not change anything.", status=403)
        command = id_from_bytes(hashlib.sha256(f"{self.device} {key}".encode()).digest())
        if self.stack.bodies.setdefault(command, body) != body:
            raise Refused("idempotency-key-reused", "Another body under the same key.", status=422)
        if command not in self.stack.outcomes:
            self._decide(command, msgspec.msgpack.decode(body, type=m.CommitBody))
        self.hook("committed")
        outcome = self.stack.outcomes[command]
        results = [
            m.ResultState(**{f: getattr(r, f) for f in r.__struct_fields__ if f != "kept"}) for r in outcome.results
        ]
        return m.CommitAnswer(command=command, done=True, seq=outcome.seq, results=results, refused=outcome.refused)

    def _decide(self, command_id: str, body: m.CommitBody) -> None:
        if body.cursor and decode_cursor(body.cursor).incarnation != self.stack.incarnation:
            raise Refused("cursor-gone", "The library was restored.", status=410)
        requests = tuple(self._request(request) for request in body.requests)
        command = c.Command(command_id, self.stack.library, f"{self.device}'s", self.device, body.counter, 1, requests)
        landed = {r.permit.id: self._landed(r.permit) for r in requests if isinstance(r, c.AddVersion)}
        seq = self.stack.tree.seq + 1
        decision = decide(
            self.stack.tree,
            command,
            landed,
            seq=seq,
            now_ms=(START_S + self.stack.next()) * 1000,
            device_name=self.device,
        )
        if decision.commit is not None:
            self.stack.tree.apply(decision.commit)
            self.stack.commits.append(decision.commit)
        self.stack.outcomes[command_id] = decision.outcome

    def _request(self, request: m.CommitRequest) -> c.Request:
        match request:
            case m.AddVersion(permit=permit):
                return c.AddVersion(open_permit(permit, KEYS))
            case m.CopyVersion():
                values = {f: getattr(request, f) for f in request.__struct_fields__}
                new = not request.node
                return c.CopyVersion(
                    id=self.stack.new_id(), new=new, **{**values, "node": request.node or self.stack.new_id()}
                )
            case m.MakeFolder(node=node, parent=parent, name=name):
                return c.MakeFolder(node, parent, name)
            case m.Move(node=node, base_seq=base_seq, parent=parent, name=name):
                return c.Move(node, base_seq, parent, name)
            case m.Remove(node=node, base_seq=base_seq, held_all=held_all):
                return c.Remove(node, base_seq, held_all)
            case m.Withdraw(permit=permit):
                return c.Withdraw(open_permit(permit, KEYS).id)

    def _landed(self, permit: c.Permit) -> Location | str:
        s3_version = self.stack.current.get(permit.key, "")
        if not s3_version:
            return "not-landed"
        body, checksum, metadata, at = self.stack.objects[permit.key, s3_version]
        try:
            assert open_permit(metadata["permit"], KEYS) == permit
            check_landed(permit, key=permit.key, size_bytes=len(body), checksum=checksum, last_modified=at)
        except Refused as refused:
            return refused.kind
        return Location(permit.key, s3_version, 0, len(body))

    async def changes(self, library: str, cursor: str = "") -> m.Changes:
        self.hook("changes")
        after = 0
        if cursor:
            at = decode_cursor(cursor)
            if at.incarnation != self.stack.incarnation:
                known_to = self.stack.kept.get(at.incarnation, 0)
                raise Refused("cursor-gone", "Start anew.", status=410, start="", known_to=known_to)
            after = at.seq
        page = self.stack.commits[after : after + self.stack.page_commits]
        newest: dict[str, tuple[Commit, Change]] = {}
        for commit in page:
            for change in commit.changes:
                newest[change.node.id] = (commit, change)
        seq = page[-1].seq if page else after
        states = [
            m.ChangeState(
                effect=change.effect,
                node=node_state(change.node),
                account=change.node.author.account,
                device=change.node.author.device,
                at_ms=commit.at_ms,
            )
            for commit, change in newest.values()
        ]
        end = encode_cursor(Cursor(self.stack.incarnation, seq))
        return m.Changes(changes=states, cursor=end, seq=seq, more=seq < self.stack.tree.seq)

    async def snapshot(self, library: str) -> m.Snapshot | None:
        self.hook("snapshot")
        seq = self.stack.snapshot_seq
        if not seq:
            return None
        body = self._snapshot_at(seq)
        return m.Snapshot(
            seq=seq,
            cursor=encode_cursor(Cursor(self.stack.incarnation, seq)),
            url=f"snapshot/{seq}",
            expires_in_s=900,
            size_bytes=len(body),
            checksum=base64.b64encode(hashlib.sha256(body).digest()).decode(),
            nodes=0,
            at_ms=0,
        )

    async def snapshot_bytes(self, snapshot: m.Snapshot) -> AsyncIterator[bytes]:
        body = self._snapshot_at(snapshot.seq)
        if self.stack.snapshot_damaged:
            body = body[:-20]
        yield body[: len(body) // 2]
        self.hook("half a snapshot")
        yield body[len(body) // 2 :]

    def _snapshot_at(self, seq: int) -> bytes:
        newest: dict[str, Node] = {}
        for commit in self.stack.commits[:seq]:
            newest |= {change.node.id: change.node for change in commit.changes if change.effect is not Effect.LATE}
        encoder = TreeEncoder()
        nodes = [node for _, node in sorted(newest.items()) if not node.removed]
        begin = encoder.begin(Begin(self.stack.library, self.stack.incarnation, seq))
        return begin + encoder.nodes(nodes) + encoder.end()

    async def heads(self, since: str = "", *, wait_s: int = 0) -> m.Heads:
        seq = self.stack.tree.seq
        cursor = encode_cursor(Cursor(self.stack.incarnation, seq))
        return m.Heads(heads=[m.Head(library=self.stack.library, seq=seq, cursor=cursor)], token=str(seq))


def node_state(node: Node) -> m.NodeState:
    return m.NodeState(
        id=node.id,
        parent=node.parent,
        name=node.name,
        kind=node.kind,
        seq=node.seq,
        removed=node.removed,
        conflict_of=node.conflict_of,
        version=version_state(node.version) if node.version else None,
    )


def version_state(version: Version) -> m.VersionState:
    return m.VersionState(
        id=version.id,
        size_bytes=version.size_bytes,
        checksum=version.checksum,
        mtime_ns=version.mtime_ns,
        executable=version.executable,
        account=version.author.account,
        device=version.author.device,
        at_ms=version.author.at_ms,
        key=version.location.key,
        s3_version=version.location.s3_version,
        offset=version.location.offset,
        length=version.location.length,
        symlink=version.symlink,
    )


@dataclass
class FakeObjects:
    """S3 as one credential reaches it. Satisfies ``transfer.ObjectsOverHttp``."""

    stack: Stack
    credentials: Credentials | None = None
    hook: Hook = quiet

    async def put(self, key: str, body: bytes, *, checksum: str, metadata: Mapping[str, str]) -> None:
        self.hook("put")
        if checksum_of(body) != checksum:
            raise Temporary("BadDigest")
        self._store(key, body, checksum, metadata)
        self.hook("stored")

    def _store(self, key: str, body: bytes, checksum: str, metadata: Mapping[str, str]) -> None:
        held = self.stack.current.get(key)
        if held is not None:
            if self.stack.objects[key, held][0] != body:
                raise ConditionFailed(f"{key} is taken")
            return
        version = f"v{self.stack.next()}"
        self.stack.objects[key, version] = (body, checksum, dict(metadata), START_S)
        self.stack.current[key] = version

    async def head(self, key: str) -> Stored:
        version = self.stack.current.get(key)
        if version is None:
            raise NotFound(key)
        body, checksum, metadata, _ = self.stack.objects[key, version]
        return Stored(len(body), checksum, version, metadata)

    async def get(self, key: str, s3_version: str, *, offset: int, length: int, whole: bool) -> AsyncIterator[bytes]:
        self.hook("get")
        if (key, s3_version) not in self.stack.objects:
            raise NotFound(key)
        body = self.stack.objects[key, s3_version][0][offset : offset + length]
        middle = len(body) // 2
        yield body[:middle]
        self.hook("half got")
        yield body[middle:]

    async def create_multipart(self, key: str, *, metadata: Mapping[str, str]) -> str:
        self.hook("create multipart")
        upload = f"u{self.stack.next()}"
        self.stack.uploads[upload] = {}
        self.stack.objects[upload, "metadata"] = (b"", "", dict(metadata), 0)
        return upload

    async def put_part(self, key: str, upload: str, number: int, body: bytes, checksum: str) -> Part:
        self.hook("put part")
        if base64.b64encode(hashlib.sha256(body).digest()).decode() != checksum:
            raise Temporary("BadDigest")
        if upload not in self.stack.uploads:
            raise NotFound(upload)
        self.stack.uploads[upload][number] = body
        self.hook("part stored")
        return Part(number, f"etag{number}", checksum, len(body))

    async def parts(self, key: str, upload: str) -> list[Part]:
        if upload not in self.stack.uploads:
            raise NotFound(upload)
        return [
            Part(number, f"etag{number}", base64.b64encode(hashlib.sha256(body).digest()).decode(), len(body))
            for number, body in self.stack.uploads[upload].items()
        ]

    async def complete_multipart(
        self, key: str, upload: str, parts: list[Part], *, size_bytes: int, checksum: str
    ) -> None:
        self.hook("complete")
        if upload in self.stack.uploads:
            body = b"".join(body for _, body in sorted(self.stack.uploads.pop(upload).items()))
            metadata = self.stack.objects.pop((upload, "metadata"))[2]
            assert is_multipart(len(body))
            assert checksum_of(body) == checksum
            self._store(key, body, checksum, metadata)
        elif (await self.head(key)).checksum != checksum:
            raise ConditionFailed(f"{key} is taken")
        self.hook("completed")

    async def abort_multipart(self, key: str, upload: str) -> None:
        self.stack.uploads.pop(upload, None)


def permissions(service: FakeService) -> Permissions:
    """A type's proof that the fake is what the client takes."""
    return service
