"""Giving up for ever, because an owner says so: what is in the trash, or old versions of a file."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from aiohttp import web

from services.gateway.files import no_such_node
from services.gateway.moments import Times
from services.gateway.translating import cursor_gone
from services.gateway.waiting import Commands
from syncline.domain.commands import MAX_REQUESTS, Command, Purge
from syncline.domain.commits import Outcome, Status
from syncline.domain.cursors import CURSOR_GONE
from syncline.domain.errors import Refused
from syncline.domain.ids import NewId
from syncline.domain.nodes import Kind, Node
from syncline.messages import history as h
from syncline.serving.auth import Access
from syncline.serving.bodies import answer
from syncline.serving.routes import Call
from syncline.store.journal import Head
from syncline.store.moments import Moments
from syncline.store.purging import VERSIONS_PER_COMMAND_MAX, Given, all_of, given_up, kept_versions, one_command
from syncline.store.retentions import Retentions
from syncline.store.snapshot import Snapshot
from syncline.store.subtrees import Whereabouts, removed_with
from syncline.store.trash import Trash
from syncline.store.tree import TreeReader

COUNTED_MAX = 20_000
"""A dry run looks at so many files and entries of the trash; then it says that there is more."""
TRASH_PAGE = 100
LEFT_TOLD_MAX = 100


class Purging:
    """Naturally idempotent: what was given up is not found again, and deciding passes over it."""

    def __init__(
        self,
        retentions: Retentions,
        trash: Trash,
        tree: TreeReader,
        times: Times,
        moments: Moments,
        commands: Commands,
        access: Access,
        new_id: NewId,
    ) -> None:
        self._retentions = retentions
        self._trash = trash
        self._tree = tree
        self._times = times
        self._moments = moments
        self._commands = commands
        self._access = access
        self._new_id = new_id

    async def purge(self, call: Call, body: h.Purge) -> h.PurgeAnswer | web.Response:
        """As much as one command holds; while there is more, the asker asks again."""
        library, caller = call.library, call.caller
        _, head = await self._access.require_govern(library, caller.account)
        if (await self._retentions.rules(library)).hold:
            raise _under_hold()
        snapshot = await self._tree.at_head(library)
        upto = body.upto or snapshot.seq
        found, cut = await _enough(self._asked(snapshot, head, body, upto), counting=body.dry_run)
        requests = [request for one in found for request in one.requests]
        some = requests if body.dry_run else one_command(requests)
        answered = h.PurgeAnswer(
            upto=upto,
            files=0,
            folders=0,
            versions=0,
            size_bytes=0,
            dry_run=body.dry_run,
            more=cut or len(some) < len(requests),
            left=await _told_left(snapshot, found),
        )
        if body.dry_run or not some:
            return _counted(answered, found, some)
        # Before the command, so that nothing is given up whose bytes nobody comes back for.
        await self._retentions.watch(library)
        answered.command = self._new_id()
        outcome = await self._commands.submit(
            Command(
                answered.command,
                library,
                caller.account,
                caller.device,
                0,
                head.epoch,
                tuple(some),
                incarnation=head.incarnation,
            )
        )
        return _later(call, answered) if outcome is None else _decided(answered, found, some, outcome)

    # -- what was asked for ----------------------------------------------------------------------------------------

    async def _asked(self, snapshot: Snapshot, head: Head, body: h.Purge, upto: int) -> AsyncGenerator[Given, None]:
        if body.versions_before:
            yield await self._superseded(snapshot, head, body)
            return
        tops = await self._removed(snapshot, body.node, upto) if body.node else self._whole_trash(snapshot, upto)
        async with aclosing(tops) as each_top:
            async for top in each_top:
                async with aclosing(all_of(snapshot, self._trash, top)) as parts:
                    async for given in parts:
                        yield given

    async def _superseded(self, snapshot: Snapshot, head: Head, body: h.Purge) -> Given:
        """The versions of a file that were superseded by then."""
        node = await snapshot.node(body.node) if body.node else None
        if node is None:
            raise no_such_node()
        if node.kind is not Kind.FILE:
            raise Refused("not-a-file", "Only files have versions.", status=409)
        seq = await self._times.seq(snapshot.library, head, body.versions_before)
        then = await (await self._tree.at(snapshot.library, seq)).node(node.id)
        current = [one.version.id for one in (node, then) if one is not None and one.version is not None]
        kept = await kept_versions(snapshot, node, before=seq + 1)
        return given_up(node, [version for version in kept if version.id not in current])

    async def _removed(self, snapshot: Snapshot, node_id: str, upto: int) -> AsyncGenerator[Node, None]:
        """A node in the trash, or in a removed folder, after what was removed below it one by one with it."""
        node = await snapshot.node(node_id)
        if node is None:
            raise no_such_node()
        removals = [one.seq for one in await Whereabouts(snapshot).above(node) if one.removed]
        if not removals or min(removals) > upto:
            raise Refused("not-removed", f"{node.name!r} is not in the trash.", status=409)
        together: list[Node] = []
        if node.removed and node.kind is Kind.FOLDER:
            commit = await self._moments.commit(snapshot.library, node.seq)
            together = await removed_with(snapshot, commit, node)
        return _each([*together, node])

    async def _whole_trash(self, snapshot: Snapshot, upto: int) -> AsyncGenerator[Node, None]:
        after = ""
        while True:
            page = await self._trash.page(snapshot, after, TRASH_PAGE)
            for removal in page.removals:
                node = await snapshot.node(removal.node.id)
                if node is not None and node.removed and node.seq == removal.node.seq <= upto:
                    yield node
            after = page.after
            if not after:
                return


async def _each(nodes: Sequence[Node]) -> AsyncGenerator[Node, None]:
    for node in nodes:
        yield node


async def _enough(asked: AsyncGenerator[Given, None], *, counting: bool) -> tuple[list[Given], bool]:
    """What one command holds, or with ``counting`` as much as is counted; and whether there may be more."""
    found: list[Given] = []
    requests = versions = 0
    async with aclosing(asked) as each_given:
        async for given in each_given:
            found.append(given)
            requests, versions = requests + len(given.requests), versions + len(given.versions)
            full = requests > MAX_REQUESTS or versions > VERSIONS_PER_COMMAND_MAX
            if len(found) >= COUNTED_MAX or (full and not counting):
                return found, True
    return found, False


async def _told_left(snapshot: Snapshot, found: Sequence[Given]) -> list[h.NotPurged]:
    where = Whereabouts(snapshot)
    tops = [one.node for one in found if not one.requests and one.node.kind is Kind.FOLDER]
    return [h.NotPurged(node=top.id, path=await where.path(top), reason="too-large") for top in tops[:LEFT_TOLD_MAX]]


def _counted(answered: h.PurgeAnswer, found: Sequence[Given], given_up: Sequence[Purge]) -> h.PurgeAnswer:
    """With the numbers of what these requests give up; contents that share their bytes count once."""
    contents = {version.id: version for one in found for version in one.versions}
    versions = [contents[version] for request in given_up for version in request.versions]
    answered.files = len({request.node for request in given_up if request.versions})
    answered.folders = sum(not request.versions for request in given_up)
    answered.versions = len(versions)
    answered.size_bytes = sum(location.length for location in {version.location for version in versions})
    return answered


def _decided(
    answered: h.PurgeAnswer, found: Sequence[Given], asked: Sequence[Purge], outcome: Outcome
) -> h.PurgeAnswer:
    """Raises ``Refused`` when an owner or the hold came in between, or the library was made again."""
    if outcome.refused == "under-hold":
        raise _under_hold()
    if outcome.refused == CURSOR_GONE:
        raise cursor_gone()
    if outcome.refused:
        raise Refused("not-allowed", "Only owners can do this.", status=403)
    results = zip(asked, outcome.results, strict=True)
    done = [request for request, result in results if result.status is Status.APPLIED]
    answered.seq = outcome.seq
    return _counted(answered, found, done)


def _under_hold() -> Refused:
    return Refused("under-hold", "The library is under a legal hold: nothing is given up until it ends.", status=409)


def _later(call: Call, body: h.PurgeAnswer) -> web.Response:
    body.done, body.more = False, True
    headers = {"Location": f"/v1/libraries/{call.library}/commits/{body.command}", "Retry-After": "1"}
    return answer(call.request, body, 202, headers)
