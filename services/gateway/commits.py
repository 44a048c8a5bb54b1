"""Making changes: a command to metadata, and the answer when it is decided."""

from __future__ import annotations

import hashlib

import msgspec
from aiohttp import web

from services.gateway.keys import IdempotencyKeys, clean_key, command_of
from services.gateway.table import IDEMPOTENCY_KEY
from services.gateway.translating import cursor_gone, derived_id, to_command
from services.gateway.waiting import Commands
from syncline.domain.commands import Command, CopyVersion
from syncline.domain.commits import Outcome, Result
from syncline.domain.cursors import CURSOR_GONE, Cursor, encode_cursor
from syncline.domain.errors import Refused
from syncline.domain.ids import NewId
from syncline.domain.nodes import Kind, Node
from syncline.domain.permits import PermitKeys
from syncline.messages import api as m
from syncline.ports.clock import Clock
from syncline.serving.auth import Access
from syncline.serving.bodies import answer
from syncline.serving.routes import Call, Nothing
from syncline.store.journal import Head
from syncline.store.tree import TreeReader


class Commits:
    def __init__(
        self,
        commands: Commands,
        keys: IdempotencyKeys,
        tree: TreeReader,
        access: Access,
        clock: Clock,
        *,
        permit_keys: PermitKeys,
        new_id: NewId,
    ) -> None:
        self._commands = commands
        self._keys = keys
        self._tree = tree
        self._access = access
        self._clock = clock
        self._permit_keys = permit_keys
        self._new_id = new_id

    async def commit(self, call: Call, body: m.CommitBody) -> m.CommitAnswer | web.Response:
        library, caller = call.library, call.caller
        _, head = await self._access.require_write(library, caller.account)
        key = call.request.headers.get(IDEMPOTENCY_KEY)
        command_id = self._new_id() if key is None else command_of(caller.device, clean_key(key))
        command = to_command(
            body, command=command_id, library=library, caller=caller, head=head, keys=self._permit_keys
        )
        if key is not None and not await self._is_first(command, body):
            decided = await self._commands.outcome(command_id)
            if decided is not None:
                return commit_answer(decided, head)
        return await self._submit(call, command, head)

    async def outcome(self, call: Call, _body: Nothing) -> m.CommitAnswer | web.Response:
        """What became of a command of this library, whoever sent it."""
        _, head = await self._access.require_read(call.library, call.caller.account)
        command = call.id("command", "no-such-command")
        outcome = await self._commands.outcome(command)
        if outcome is None:
            return _later(call, command)
        if outcome.library != call.library:
            raise Refused("no-such-command", "There is no such command in this library.", status=404)
        return commit_answer(outcome, head)

    async def restore(self, call: Call, _body: Nothing) -> m.CommitAnswer | web.Response:
        """A copy of an older version becomes the current one, through the same queue as every change."""
        library, caller = call.library, call.caller
        _, head = await self._access.require_write(library, caller.account)
        node_id, version_id = call.id("node", "no-such-node"), call.id("version", "no-such-version")
        snapshot = await self._tree.at_head(library)
        node = await snapshot.node(node_id)
        if node is None:
            raise Refused("no-such-node", "There is no such file in this library.", status=404)
        if node.kind is not Kind.FILE:
            raise Refused("not-a-file", "Only files have versions.", status=409)
        record = await snapshot.version(version_id)
        if record is None or record.version is None or record.node != node_id:
            raise Refused("no-such-version", "The file has no such version.", status=404)
        old = record.version
        command_id = self._new_id()
        copy = CopyVersion(
            id=derived_id(command_id, "version", 0),
            source=old.id,
            node=node_id,
            new=False,
            parent="",
            name="",
            base_version=node.version.id if node.version else "",
            size_bytes=old.size_bytes,
            checksum=old.checksum,
            mtime_ns=old.mtime_ns,
            executable=old.executable,
            symlink=old.symlink,
        )
        counter = _counter_after(node, caller.device)
        command = Command(
            command_id,
            library,
            caller.account,
            caller.device,
            counter,
            head.epoch,
            (copy,),
            incarnation=head.incarnation,
        )
        return await self._submit(call, command, head)

    async def _is_first(self, command: Command, body: m.CommitBody) -> bool:
        # Of what was asked, not of how it was written: JSON and msgpack of the same changes are the same request.
        asked = msgspec.msgpack.encode((command.library, body))
        return await self._keys.is_new(command.id, hashlib.sha256(asked).digest(), self._clock.now_ms())

    async def _submit(self, call: Call, command: Command, head: Head) -> m.CommitAnswer | web.Response:
        outcome = await self._commands.submit(command)
        return _later(call, command.id) if outcome is None else commit_answer(outcome, head)


def commit_answer(outcome: Outcome, head: Head) -> m.CommitAnswer:
    """Raises ``Refused("cursor-gone")`` (410) when the library was made again before the command was decided."""
    if outcome.refused == CURSOR_GONE:
        raise cursor_gone()
    return m.CommitAnswer(
        command=outcome.command,
        done=True,
        seq=outcome.seq,
        cursor=encode_cursor(Cursor(outcome.incarnation or head.incarnation, outcome.seq)),
        results=[_result(result) for result in outcome.results],
        refused=outcome.refused,
    )


def _result(result: Result) -> m.ResultState:
    return m.ResultState(
        status=result.status,
        node=result.node,
        seq=result.seq,
        version=result.version,
        parent=result.parent,
        name=result.name,
        reason=result.reason,
        detail=result.detail,
        kept=list(result.kept),
    )


def _later(call: Call, command: str) -> web.Response:
    headers = {"Location": f"/v1/libraries/{call.library}/commits/{command}", "Retry-After": "1"}
    return answer(call.request, m.CommitAnswer(command=command, done=False), 202, headers)


def _counter_after(node: Node, device: str) -> int:
    """A counter that puts a restore after what this device did to the file, so that it is no late arrival."""
    authors = [node.author, *([node.version.author] if node.version else [])]
    return max((author.counter + 1 for author in authors if author.device == device), default=0)
