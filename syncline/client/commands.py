"""Commands on their way: written down before they are sent, and their outcome applied to the base."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from typing import Protocol

import msgspec

from syncline.client import filelog
from syncline.client.agreed import Agreed
from syncline.client.index import Index, Pending
from syncline.client.operations import SendFile, SendFolder, SendMove, SendRemove, Sent
from syncline.client.summary import Summary
from syncline.client.trees import BaseNode
from syncline.domain.commits import Status
from syncline.domain.cursors import CURSOR_GONE
from syncline.domain.errors import Broken, Refused
from syncline.domain.nodes import Kind
from syncline.messages.api import CommitAnswer, CommitBody, CommitRequest, ResultState

_SIGN_IN_AGAIN = (401, 403)
NOT_ALLOWED = "not-allowed"
"""The right to write is gone, or never was: what was changed here is kept and told, and all else goes on."""
_TOOK_EFFECT = (Status.APPLIED, Status.UNCHANGED, Status.CONFLICT)


class Commits(Protocol):
    """The part of the API that commits (``Api``)."""

    async def commit(self, library: str, body: bytes, *, key: str) -> CommitAnswer: ...


class Commands:
    """Sends commands for one link.

    ``ids`` maps the id asked for a new folder to the one it got. ``twins`` are files whose bytes became (or were)
    the version of a node that another file on this disk stands for already; ``met`` are such folders.
    """

    def __init__(self, agreed: Agreed, index: Index, commits: Commits, summary: Summary) -> None:
        self._agreed = agreed
        self._index = index
        self._commits = commits
        self._summary = summary
        self.ids: dict[str, str] = {}
        self.met: list[tuple[SendFolder, str]] = []
        self.twins: list[tuple[SendFile, ResultState]] = []
        self.seq = 0

    async def send(self, sent: Sequence[Sent], requests: list[CommitRequest], counter: int) -> list[ResultState]:
        """One command: on the disk before it leaves, so that its outcome is asked for again after a crash.

        Raises ``Temporary`` when the outcome is not known yet: it stays written down.
        """
        body = msgspec.msgpack.encode(CommitBody(requests=requests, counter=counter, cursor=self._agreed.link.cursor))
        pending = Pending(secrets.token_hex(16), body, tuple(sent))
        await asyncio.to_thread(self._index.expect, self._agreed.link, pending)
        return await self._ask(pending)

    async def settle(self) -> None:
        """Learn the outcome of commands an earlier run left."""
        for pending in await asyncio.to_thread(self._index.pending, self._agreed.link):
            try:
                await self._ask(pending)
            except Refused as refused:
                if refused.kind != CURSOR_GONE:
                    raise

    async def _ask(self, pending: Pending) -> list[ResultState]:
        try:
            answer = await self._commits.commit(self._agreed.link.library, pending.body, key=pending.command)
        except Refused as refused:
            if refused.status not in _SIGN_IN_AGAIN or refused.kind == NOT_ALLOWED:
                # Never decided and never will be: what it was to do is planned anew.
                self._agreed.settle(pending.command, (), ())
            if refused.kind != NOT_ALLOWED:
                raise
            result = ResultState(status=Status.REFUSED, reason=refused.kind, detail=refused.detail)
            self._summary.refused += [(sent.path, refused.kind, refused.detail) for sent in pending.sent]
            return [result] * len(pending.sent)
        if len(answer.results) != len(pending.sent):
            raise Broken(f"The service answered {len(answer.results)} results to {len(pending.sent)} requests.")
        self.seq = max(self.seq, answer.seq)
        nodes: list[BaseNode] = []
        forget: list[str] = []
        # Paths are those before the command, so that a move tells where from.
        log = [self._told(sent, result) for sent, result in zip(pending.sent, answer.results, strict=True)]
        for sent, result in zip(pending.sent, answer.results, strict=True):
            self._apply(sent, result, nodes, forget)
        self._agreed.settle(pending.command, nodes, forget, log)
        return answer.results

    def _told(self, sent: Sent, result: ResultState) -> filelog.Entry:
        path = self._agreed.path_or(filelog.sent_node(sent), sent.path) if isinstance(sent, SendMove) else sent.path
        return filelog.of_sent(sent, result, path)

    def _apply(self, sent: Sent, result: ResultState, nodes: list[BaseNode], forget: list[str]) -> None:
        if result.status is Status.REFUSED:
            self._summary.refused.append((sent.path, result.reason, result.detail))
        match sent:
            case SendFolder():
                self._folder(sent, result, nodes)
            case SendMove():
                self._move(sent, result, nodes)
            case SendRemove():
                self._remove(sent, result, forget)
            case SendFile():
                self._file(sent, result, nodes, forget)

    # In all of these the base is given the place that the file has *here*. Where the library put it elsewhere
    # (a conflict's name, a folder given back), the next plan sees that only the library's place differs and moves it.

    def _folder(self, sent: SendFolder, result: ResultState, nodes: list[BaseNode]) -> None:
        if result.status not in _TOOK_EFFECT:
            return
        if self._is_here(result.node):
            self.met.append((sent, result.node))
            return
        self.ids[sent.node] = result.node
        self._summary.folders_made += result.status is not Status.UNCHANGED
        if result.status is Status.CONFLICT:
            self._summary.conflicts.append(_beside(sent.path, result.name))
        nodes.append(
            BaseNode(
                node=result.node,
                parent=self.ids.get(sent.parent, sent.parent),
                name=sent.here or sent.name,
                local_name=sent.local_name,
                kind=Kind.FOLDER,
                seq=result.seq,
                stat=sent.stat,
            )
        )

    def _move(self, sent: SendMove, result: ResultState, nodes: list[BaseNode]) -> None:
        # Also when it was refused: then the library's place is another than ours, and the next plan moves it back.
        # Not when the right to write is gone: what this person did here is then left as it is.
        if result.status is Status.REFUSED and result.reason == NOT_ALLOWED:
            return
        self._summary.moved += result.status in _TOOK_EFFECT
        if result.status is Status.CONFLICT:
            self._summary.conflicts.append(_beside(sent.path, result.name))
        base = self._agreed.nodes.get(sent.base.node, sent.base)
        parent = self.ids.get(sent.base.parent, sent.base.parent)
        nodes.append(msgspec.structs.replace(base, parent=parent, name=sent.base.name, local_name=sent.base.local_name))

    def _remove(self, sent: SendRemove, result: ResultState, forget: list[str]) -> None:
        if result.status in _TOOK_EFFECT:
            self._summary.removed_there += sent.files or 1
            forget += [sent.node, *sent.below]

    def _file(self, sent: SendFile, result: ResultState, nodes: list[BaseNode], forget: list[str]) -> None:
        if result.status is Status.REFUSED:
            return
        if result.status is Status.CONFLICT:
            self._summary.conflicts.append(_beside(sent.path, result.name))
        if sent.node and result.node != sent.node:
            forget.append(sent.node)  # what is here is the copy now; the original is fetched
            if self._is_here(result.node):
                self.twins.append((sent, result))
                return
        elif not sent.node and self._is_here(result.node):
            self.twins.append((sent, result))
            return
        nodes.append(self.sent_base(sent, result))

    def _is_here(self, node: str) -> bool:
        known = self._agreed.nodes.get(node)
        return known is not None and known.materialised

    def sent_base(self, sent: SendFile, result: ResultState) -> BaseNode:
        """What is agreed on with a file that was sent, at the place it has now, wherever it was when planned."""
        sent_place = (self.ids.get(sent.parent, sent.parent), sent.name, sent.local_name)
        known = self._agreed.nodes.get(sent.node)
        parent, name, local_name = (known.parent, known.name, known.local_name) if known else sent_place
        return BaseNode(
            node=result.node or sent.node,
            parent=parent,
            name=name,
            local_name=local_name,
            kind=Kind.FILE,
            seq=result.seq,
            version=result.version,
            content=sent.content,
            stat=sent.stat,
        )


def _beside(path: str, name: str) -> str:
    folder, slash, _ = path.rpartition("/")
    return folder + slash + name
