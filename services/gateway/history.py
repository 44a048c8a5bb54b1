"""The trash, bringing things back from it, and making a folder as it was."""

from __future__ import annotations

from collections.abc import Sequence

from aiohttp import web

from services.gateway.files import live_node, no_such_node
from services.gateway.moments import Times
from services.gateway.translating import derived_id
from services.gateway.waiting import Commands
from syncline.domain.commands import MAX_REQUESTS, Command, Request
from syncline.domain.commits import Outcome, Status
from syncline.domain.errors import Refused
from syncline.domain.ids import NewId
from syncline.domain.nodes import Author, Kind, Node
from syncline.domain.paths import clean_name
from syncline.domain.returning import Present, Return, Step, plan_restore, plan_rewind
from syncline.messages import history as h
from syncline.serving.auth import Access
from syncline.serving.bodies import answer
from syncline.serving.routes import Call, Nothing
from syncline.store.journal import Head
from syncline.store.moments import Moments
from syncline.store.rows import Removal
from syncline.store.snapshot import Snapshot
from syncline.store.subtrees import Whereabouts, below, removed_with
from syncline.store.together import together
from syncline.store.trash import Trash
from syncline.store.tree import TreeReader

TRASH_DEFAULT = 50
REWIND_NODES_MAX = 20_000
"""A folder with more below it, then or now, is gone back to in parts: its subfolders one by one."""
READS_AT_ONCE = 32
TOLD_MAX = 1_000
GOOD = (Status.APPLIED, Status.UNCHANGED)


class History:
    def __init__(
        self,
        trash: Trash,
        tree: TreeReader,
        times: Times,
        moments: Moments,
        commands: Commands,
        access: Access,
        new_id: NewId,
    ) -> None:
        self._trash = trash
        self._tree = tree
        self._times = times
        self._moments = moments
        self._commands = commands
        self._access = access
        self._new_id = new_id

    async def trash(self, call: Call, _body: Nothing) -> h.Trash:
        await self._access.require_read(call.library, call.caller.account)
        snapshot = await self._tree.at_head(call.library)
        page = await self._trash.page(snapshot, call.text("after"), call.number("limit", TRASH_DEFAULT))
        where = Whereabouts(snapshot)
        return h.Trash(removed=[_removed(one, await where.path(one.node)) for one in page.removals], after=page.after)

    async def restore(self, call: Call, body: h.RestoreNode) -> h.RestoreAnswer | web.Response:
        """As much as one command holds; while there is more, the asker asks again."""
        library, caller = call.library, call.caller
        _, head = await self._access.require_write(library, caller.account)
        snapshot = await self._tree.at_head(library)
        node = await snapshot.node(call.id("node", "no-such-node"))
        if node is None:
            raise no_such_node()
        if await snapshot.is_live(node):
            raise Refused("not-removed", f"{node.name!r} is not in the trash.", status=409)
        if body.to:
            await live_node(snapshot, body.to)
        held, whole = await self._held(snapshot, node)
        versions = [one.version.id for one in (node, *held) if one.version is not None]
        purged = await snapshot.purged(versions)
        if node.version is not None and node.version.id in purged:
            raise Refused("version-purged", f"The content of {node.name!r} was given up.", status=410)
        command = self._new_id()
        requests, more = plan_restore(
            node,
            held,
            to=body.to or (node.parent if body.name else ""),
            name=clean_name(body.name) if body.name else "",
            whole=whole,
            purged=purged,
            seq=snapshot.seq,
            new_version=lambda of: derived_id(command, f"version of {of}", 0),
            requests_max=MAX_REQUESTS,
        )
        outcome = await self._submit(call, command, head, requests, [node, *held, *await snapshot.ancestors(node)])
        if outcome is None:
            return _later(call, h.RestoreAnswer(command=command, done=False, more=True))
        return _restored(outcome, requests, more=more)

    async def rewind(self, call: Call, body: h.Rewind) -> h.RewindAnswer | web.Response:
        library, caller = call.library, call.caller
        _, head = await self._access.require_write(library, caller.account)
        at_seq = await self._times.seq(library, head, body.at)
        now, then = await self._tree.at_head(library), await self._tree.at(library, at_seq)
        folder = await _folder_at_both(now, then, call.id("node", "no-such-node"))
        command = self._new_id()
        steps, touched = await self._steps(now, then, folder, command)
        requests = [request for step in steps for request in step.requests]
        changes = await _told(steps[:TOLD_MAX], Whereabouts(then), Whereabouts(now))
        answered = h.RewindAnswer(at_seq=at_seq, total=len(steps), changes=changes, dry_run=body.dry_run)
        if body.dry_run or not requests:
            return answered
        if len(requests) > MAX_REQUESTS:
            detail = (
                f"Going back takes {len(requests)} changes, more than the {MAX_REQUESTS} of one commit. "
                "Go back folder by folder."
            )
            raise Refused("too-many-changes", detail, status=409, changes=len(requests), limit_changes=MAX_REQUESTS)
        outcome = await self._submit(call, command, head, requests, touched)
        answered.command = command
        if outcome is None:
            answered.done = False
            return _later(call, answered)
        answered.seq, answered.failed = outcome.seq, _failures(outcome, requests)
        return answered

    async def _held(self, snapshot: Snapshot, top: Node) -> tuple[list[Node], bool]:
        """What a gone folder still holds, with what was removed together with it; and whether that is all."""
        if top.kind is not Kind.FOLDER:
            return [], True
        room = 2 * MAX_REQUESTS
        found, whole = await below(snapshot, top.id, room)
        if not top.removed:
            return found, whole
        commit = await self._moments.commit(snapshot.library, top.seq)
        for node in await removed_with(snapshot, commit, top):
            found.append(node)
            if node.kind is Kind.FOLDER:
                more, all_of_it = await below(snapshot, node.id, room)
                found, whole = [*found, *more], whole and all_of_it
        return _folders_first(found), whole

    async def _steps(
        self, now: Snapshot, then: Snapshot, folder: Node, command: str
    ) -> tuple[list[Step], Sequence[Node]]:
        """What going back takes, and the nodes that it touches as they are."""
        then_below, now_below = await _all_below(then, folder.id), await _all_below(now, folder.id)
        was = {node.id: node for node in then_below}
        present = {node.id: Present(node, True) for node in now_below}
        touched = list(now_below)
        where_now, where_then = Whereabouts(now), Whereabouts(then)

        async def look(node_id: str) -> None:
            node = await now.node(node_id)
            assert node is not None, "what was there once is known for ever"
            present[node_id] = Present(node, await where_now.is_live(node))
            touched.extend(await where_now.above(node))

        async def look_back(node_id: str) -> Node | None:
            node = await then.node(node_id)
            return node if node is not None and await where_then.is_live(node) else None

        await together([node_id for node_id in was if node_id not in present], look, at_once=READS_AT_ONCE)
        came = [node_id for node_id in present if node_id not in was]
        elsewhere = await together(came, look_back, at_once=READS_AT_ONCE)
        before = {node.id: node for node in elsewhere if node is not None}
        changed = [
            node.version.id
            for node in was.values()
            if node.version is not None and (present[node.id].node.version != node.version or not present[node.id].live)
        ]
        purged = await now.purged(changed)
        steps = plan_rewind(
            was, present, before, purged, now.seq, lambda of: derived_id(command, f"version of {of}", 0)
        )
        return steps, touched

    async def _submit(
        self, call: Call, command: str, head: Head, requests: Sequence[Request], touched: Sequence[Node]
    ) -> Outcome | None:
        caller = call.caller
        counter = counter_after(touched, caller.device)
        return await self._commands.submit(
            Command(
                command,
                call.library,
                caller.account,
                caller.device,
                counter,
                head.epoch,
                tuple(requests),
                incarnation=head.incarnation,
            )
        )


async def _folder_at_both(now: Snapshot, then: Snapshot, node_id: str) -> Node:
    folder = await live_node(now, node_id)
    if folder.kind is not Kind.FOLDER:
        raise Refused("not-a-folder", "This is a file: restore one of its versions.", status=409)
    await live_node(then, node_id)
    return folder


async def _all_below(snapshot: Snapshot, folder: str) -> list[Node]:
    found, whole = await below(snapshot, folder, REWIND_NODES_MAX)
    if not whole:
        detail = f"There is more than {REWIND_NODES_MAX} files and folders below it. Go back folder by folder."
        raise Refused("too-many-changes", detail, status=409)
    return found


async def _told(steps: Sequence[Step], then: Whereabouts, now: Whereabouts) -> list[h.RewindChange]:
    changes = []
    for step in steps:
        gone = step.effect is Return.REMOVED
        path = await (now if gone else then).path(step.node)
        was = await now.path(step.now) if step.now is not None and step.effect is Return.MOVED else ""
        changes.append(
            h.RewindChange(effect=step.effect.value, node=step.node.id, kind=step.node.kind, path=path, was=was)
        )
    return changes


def _removed(removal: Removal, path: str) -> h.RemovedNode:
    node = removal.node
    return h.RemovedNode(
        node=node.id,
        kind=node.kind,
        name=node.name,
        path=path,
        seq=node.seq,
        account=removal.account,
        device=removal.device,
        at_ms=removal.at_ms,
        size_bytes=0 if node.version is None else node.version.size_bytes,
        version="" if node.version is None else node.version.id,
    )


def _restored(outcome: Outcome, requests: Sequence[Request], *, more: bool) -> h.RestoreAnswer:
    first, last = outcome.results[0], outcome.results[-1]
    stands = last if len(requests) > 1 and last.node == first.node else first
    files = sum(1 for result in outcome.results if result.version and result.status in (*GOOD, Status.CONFLICT))
    return h.RestoreAnswer(
        command=outcome.command,
        done=True,
        more=more and not outcome.refused,
        seq=outcome.seq,
        node=stands.node,
        parent=stands.parent,
        name=stands.name,
        restored=files,
        failed=_failures(outcome, requests),
    )


def _failures(outcome: Outcome, requests: Sequence[Request]) -> list[h.NotRestored]:
    """What did not come to be as asked; what got another name since its own is taken is where it is told to be."""
    failed = []
    for request, result in zip(requests, outcome.results, strict=True):
        if result.status not in GOOD:
            reason = result.detail or result.reason or result.status.value
            failed.append(h.NotRestored(node=_about(request), name=result.name, reason=reason))
    return failed


def _about(request: Request) -> str:
    node = getattr(request, "node", "")
    return node if isinstance(node, str) else ""


def _folders_first(nodes: Sequence[Node]) -> list[Node]:
    """Each folder before what is in it; the order is else kept."""
    inside: dict[str, list[Node]] = {}
    ids = {node.id for node in nodes}
    for node in {node.id: node for node in nodes}.values():
        inside.setdefault(node.parent if node.parent in ids else "", []).append(node)
    ordered = list(inside.get("", []))
    for node in ordered:
        ordered.extend(inside.get(node.id, []))
    return ordered


def counter_after(nodes: Sequence[Node], device: str) -> int:
    """A counter that puts what is asked after all this device did to these nodes, so that it is no late arrival."""
    authors: list[Author] = []
    for node in nodes:
        authors += [node.author, node.placer, *([node.version.author] if node.version is not None else [])]
    return max((author.counter + 1 for author in authors if author.device == device), default=0)


def _later(call: Call, body: h.RestoreAnswer | h.RewindAnswer) -> web.Response:
    headers = {"Location": f"/v1/libraries/{call.library}/commits/{body.command}", "Retry-After": "1"}
    return answer(call.request, body, 202, headers)
