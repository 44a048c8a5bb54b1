"""One pass over a link: list_changes, scan, plan, apply, until nothing is left."""

from __future__ import annotations

import asyncio
import secrets
import time
from dataclasses import dataclass, field, replace
from typing import Protocol

from syncline.client import filelog, planner
from syncline.client.agreed import Agreed
from syncline.client.apart import CHANGING
from syncline.client.commands import Commands, Commits
from syncline.client.credentials import Permissions
from syncline.client.disk import Disk
from syncline.client.downloads import Downloads
from syncline.client.executor import Executor
from syncline.client.index import Index, Link
from syncline.client.link_targets import TargetsOverHttp, leading_out
from syncline.client.operations import Plan
from syncline.client.progress import Phase, Progress
from syncline.client.reduced import reduced_trees
from syncline.client.remote_tree import Journal, list_changes
from syncline.client.scanner import Scanner
from syncline.client.summary import Summary
from syncline.client.transfer import UPLOAD_KEPT_S, Transfers
from syncline.client.trees import BytesKey
from syncline.client.uploads import Uploads
from syncline.domain.cursors import CURSOR_GONE
from syncline.domain.errors import Refused
from syncline.domain.ids import id_from_bytes
from syncline.messages.api import Heads, Library

ROUNDS_MAX = 24
STALLED_ROUNDS_MAX = 3
STALLED_PAUSE_S = 0.2


class Service(Permissions, Commits, Journal, Protocol):
    """What synchronising needs of the service (``Api`` is one)."""

    async def library(self, library: str) -> Library: ...

    async def heads(self, since: str = "", *, wait_s: int = 0) -> Heads: ...


@dataclass(frozen=True)
class Tools:
    """What all passes of a process share."""

    service: Service
    index: Index
    transfers: Transfers
    progress: Progress
    heard: filelog.Heard = field(default_factory=filelog.Heard)

    def telling(self, progress: Progress) -> Tools:
        """The same, telling another listener."""
        return replace(self, transfers=self.transfers.telling(progress), progress=progress)


class Pass:
    """One run over one link."""

    def __init__(self, tools: Tools, link: Link, disk: Disk, scanner: Scanner, *, allow_removals: bool) -> None:
        self._tools = tools
        self._service = tools.service
        self._journal = filelog.Overheard(tools.service, tools.heard)
        self._index = tools.index
        self._link = link
        self._allow_removals = allow_removals
        self._disk = disk
        self._scanner = scanner
        self._summary = Summary(link.library, link.path)
        self._rules = CHANGING
        self._uncopyable: set[BytesKey] = set()
        self._seq = 0

    async def run(self) -> Summary:
        self._disk.check_marker(self._link.marker)
        await asyncio.to_thread(self._disk.tidy)
        self._index.drop_uploads_before(int(time.time()) - UPLOAD_KEPT_S)
        await self._settle()
        stalled = 0
        for _ in range(ROUNDS_MAX):
            done_before = self._summary.changes
            planned = await self._round()
            if planned.empty and not self._unsettled(planned):
                self._summary.complete = True
                self._index.obeyed(self._link, self._rules)
                break
            stalled = stalled + 1 if self._summary.changes == done_before else 0
            if stalled >= STALLED_ROUNDS_MAX:
                break
            if stalled:
                await asyncio.sleep(STALLED_PAUSE_S * stalled)
        self._summary.seq = self._link.seq
        news = filelog.of_left(self._summary, planned.held)
        await asyncio.to_thread(self._index.log_news, self._link, news, filelog.now_ms())
        self._hold(planned)
        return self._summary

    async def _settle(self) -> None:
        agreed = Agreed(self._index, self._link, self._tools.heard)
        commands = Commands(agreed, self._index, self._service, self._summary)
        await commands.settle()
        self._seq = commands.seq

    async def _round(self) -> Plan:
        """list_changes, scan, plan, apply: once."""
        tools, summary = self._tools, self._summary
        summary.rounds += 1
        summary.refused, summary.later = [], []
        self._tools.progress.phase(Phase.SCANNING)
        self._link = await list_changes(self._journal, self._index, self._link, at_least=self._seq)
        trees = await reduced_trees(self._index.holdings(self._link), self._scanner, self._link.marker)
        local = trees.local
        targets = TargetsOverHttp(tools.transfers, self._service, self._index, self._link)
        remote = await targets.read(trees.remote)
        outward, unsafe = leading_out(remote, local)
        summary.skipped = [*local.skipped, *trees.unfit, *unsafe]
        summary.later = sorted(local.unsure - {skipped.path for skipped in local.skipped})
        planned = await asyncio.to_thread(
            planner.plan,
            trees.base,
            local,
            remote,
            new_id=new_id,
            allow_removals=self._allow_removals,
            apart=outward | trees.apart,
            lately=self._scanner.names.lately(trees.base),
        )
        self._scanner.names.note(trees.base, planned)
        self._rules = trees.rules.digest
        if not planned.empty:
            if self._rules != self._index.holdings(self._link).obeyed():
                self._index.obeyed(self._link, CHANGING)  # until a pass has come to its end under the new ones
            await self._apply(Agreed(self._index, self._link, tools.heard), planned)
        return planned

    async def _apply(self, agreed: Agreed, planned: Plan) -> None:
        tools, summary = self._tools, self._summary
        tools.progress.phase(Phase.SYNCING)
        commands = Commands(agreed, self._index, self._service, summary)
        uploads = Uploads(
            agreed,
            self._disk,
            self._index,
            tools.transfers,
            self._service,
            commands,
            tools.progress,
            summary,
            self._next_counter,
        )
        uploads.uncopyable = self._uncopyable
        downloads = Downloads(agreed, self._disk, tools.transfers, self._service, tools.progress, summary)
        executor = Executor(agreed, self._disk, commands, uploads, downloads, summary)
        try:
            await executor.perform(planned, self._next_counter())
        except Refused as refused:
            if refused.kind != CURSOR_GONE:
                raise
            # The library was restored while this was planned: the next round reads it anew, and plans from that.
        finally:
            self._seq = max(self._seq, commands.seq)

    def _next_counter(self) -> int:
        return self._index.next_counter(int(time.time() * 1000))

    def _unsettled(self, planned: Plan) -> bool:
        return bool(self._summary.later or planned.blocked)

    def _hold(self, planned: Plan) -> None:
        if planned.held:
            there = sum(removal.files for removal in planned.held if not removal.here)
            here = sum(removal.files for removal in planned.held if removal.here)
            told = [f"{there} files are gone from {self._link.path}"] if there else []
            told += [f"{here} files of {self._link.path} were removed from {self._link.library_name}"] if here else []
            detail = f"{', and '.join(told)}: more than half. Were they meant to be removed?"
            paths = [removal.path for removal in planned.held]
            raise Refused("large-removal", detail, status=409, files=there + here, there=there, here=here, paths=paths)


def new_id() -> str:
    return id_from_bytes(secrets.token_bytes(16))
