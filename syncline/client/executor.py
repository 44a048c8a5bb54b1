"""Carrying out a plan, one recorded step after the other; a kill at any point leaves what the next pass can plan from.

Order: what is only noted, then what the library is told of folders, moves and removals (one command), then the
same on this disk, then files, both ways at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial

import msgspec

from syncline.client import filelog
from syncline.client.agreed import Agreed
from syncline.client.alike import folded
from syncline.client.commands import Commands
from syncline.client.disk import Changed, Disk, unmoved
from syncline.client.downloads import Downloads
from syncline.client.matching import ASIDE_PREFIX
from syncline.client.operations import (
    Agree,
    Forget,
    LocalStep,
    MakeHere,
    MoveHere,
    Plan,
    RemoveHere,
    SendFolder,
    SendMove,
    SendRemove,
    TreeRequest,
)
from syncline.client.summary import Summary
from syncline.client.tasks import each
from syncline.client.trees import BaseNode, Stat
from syncline.client.uploads import Uploads
from syncline.domain.commands import MAX_REQUESTS
from syncline.domain.errors import Refused
from syncline.domain.nodes import Kind
from syncline.messages import api as m


class Executor:
    """Performs plans for one link. What cannot be done as planned is told in the summary and left for the next plan."""

    def __init__(
        self,
        agreed: Agreed,
        disk: Disk,
        commands: Commands,
        uploads: Uploads,
        downloads: Downloads,
        summary: Summary,
    ) -> None:
        self._agreed = agreed
        self._disk = disk
        self._commands = commands
        self._uploads = uploads
        self._downloads = downloads
        self._summary = summary
        self._touched: list[str] = []

    async def perform(self, plan: Plan, counter: int) -> None:
        """Everything in the plan. ``counter`` is the device's, for the requests that carry no permit.

        Raises ``Temporary``, ``Broken``, or ``Refused`` when the service refuses all; what was done is recorded.
        """
        await self._note(plan.noted)
        for start in range(0, len(plan.tree), MAX_REQUESTS):
            chunk = plan.tree[start : start + MAX_REQUESTS]
            await self._flush([r.path.rpartition("/")[0] if isinstance(r, SendRemove) else r.path for r in chunk])
            await self._commands.send(chunk, [self._request(r) for r in chunk], counter)
        await self._merge_folders()
        for step in plan.local:
            await self._step(step)
        await self._flush(self._touched)
        await each(
            [
                partial(self._downloads.perform, plan.fetches),
                partial(self._uploads.perform, plan.files),
            ]
        )

    async def _flush(self, paths: Sequence[str]) -> None:
        if paths:
            await asyncio.to_thread(self._disk.flush, paths)

    async def _note(self, noted: Sequence[Agree | Forget]) -> None:
        agreed = [op.base for op in noted if isinstance(op, Agree)]
        forget = [op.node for op in noted if isinstance(op, Forget)]
        if not (agreed or forget):
            return
        fresh = [base for base in agreed if base.node not in self._agreed.nodes]
        changed = [base for base in agreed if base.materialised and self._is_news(base)]
        self._agreed.note(agreed, ())
        await self._flush([self._agreed.path_or(base.node, base.local_name) for base in changed])
        self._agreed.agree(agreed, forget, [self._alike(base) for base in fresh])

    def _is_news(self, base: BaseNode) -> bool:
        known = self._agreed.nodes.get(base.node)
        return known is None or known.content != base.content

    def _alike(self, base: BaseNode) -> filelog.Entry:
        path = self._agreed.path_or(base.node, base.local_name)
        return filelog.of_agreed(base.node, path, base.version, base.content.size_bytes if base.content else None)

    def _request(self, sent: TreeRequest) -> m.CommitRequest:
        match sent:
            case SendFolder():
                parent = self._commands.ids.get(sent.parent, sent.parent)
                return m.MakeFolder(node=sent.node, parent=parent, name=sent.name)
            case SendMove(base=base):
                parent = self._commands.ids.get(base.parent, base.parent)
                return m.Move(node=base.node, base_seq=sent.base_seq, parent=parent, name=base.name)
            case SendRemove():
                return m.Remove(node=sent.node, base_seq=sent.base_seq, held_all=sent.held_all)

    # -- this disk

    async def _merge_folders(self) -> None:
        """Where the library takes a new folder for one that lies elsewhere here, they become one here too."""
        while self._commands.met:
            sent, node = self._commands.met.pop()
            try:
                await asyncio.to_thread(self._disk.merge_folder, sent.path, self._agreed.path(node))
            except Changed:
                self._summary.later.append(sent.path)

    async def _step(self, step: LocalStep) -> None:
        path = step.remote.name if isinstance(step, MakeHere) else step.node
        try:
            match step:
                case MakeHere():
                    path = self._agreed.path_in(step.remote.parent, step.remote.name)
                    await self._make(step, path)
                    self._touched.append(path)
                case MoveHere():
                    path = self._agreed.path(step.node)
                    if self._changes_case_only(step, path):
                        # For the disk both names are one, and taken: it goes by way of a third.
                        above = self._agreed.nodes[step.node].parent
                        await self._move(msgspec.structs.replace(step, parent=above, aside=True), path)
                    await self._move(step, self._agreed.path(step.node))
                    self._touched += [path.rpartition("/")[0], self._agreed.path(step.node)]
                case RemoveHere():
                    path = self._agreed.path(step.node)
                    await self._remove(step, path)
                    self._touched.append(path.rpartition("/")[0])
        except Changed:
            self._summary.later.append(path)
        except Refused as refused:
            self._summary.refused.append((path, refused.kind, refused.detail))

    def _changes_case_only(self, step: MoveHere, path: str) -> bool:
        target = self._agreed.path_in(step.parent, step.name)
        return not step.aside and path != target and self._disk.folds_case and folded(path) == folded(target)

    async def _make(self, step: MakeHere, path: str) -> None:
        stat = await asyncio.to_thread(self._disk.make_folder, path)
        remote = step.remote
        base = BaseNode(
            node=remote.node,
            parent=remote.parent,
            name=remote.name,
            local_name=remote.name,
            kind=Kind.FOLDER,
            seq=remote.seq,
            stat=stat,
        )
        self._agreed.agree([base], log=[filelog.of_made(step, path, self._agreed.heard.of(remote.node))])
        self._summary.folders_made += 1

    async def _move(self, step: MoveHere, path: str) -> None:
        state = self._agreed.nodes[step.node]
        local_name = ASIDE_PREFIX + step.node if step.aside else step.name
        target = self._agreed.path_in(step.parent, local_name)
        stat = state.stat
        if path != target:
            before = await asyncio.to_thread(self._disk.stat, path)
            if before is None or state.stat is None or before.inode != state.stat.inode:
                raise Changed(f"{path} is another file or folder now")
            after = await asyncio.to_thread(self._disk.move, path, target)
            stat = _moved_stat(state.stat, before, after)
        # Put aside only: the name agreed on is still the old one, so the next plan moves it on.
        name = state.name if step.aside else step.name
        moved = msgspec.structs.replace(state, parent=step.parent, name=name, local_name=local_name, stat=stat)
        told = filelog.of_moved(step, path, target, self._agreed.heard.of(step.node))
        self._agreed.agree([moved], log=[told] if path != target else [])
        self._summary.moved += not step.aside

    async def _remove(self, step: RemoveHere, path: str) -> None:
        state = self._agreed.nodes[step.node]
        if step.folder:
            # A folder that still holds something is no longer the library's, and will be sent as a new one.
            removed = int(await asyncio.to_thread(self._disk.remove_folder, path))
        else:
            check = self._disk.expecting((state.stat,), state.content)
            discard = self._disk.discard_file if step.apart else self._disk.trash_file
            await asyncio.to_thread(discard, path, check)
            removed = 1
        if step.apart:
            self._summary.put_apart += removed
        else:
            self._summary.removed_here += removed
        told = filelog.of_removed(step.node, path, self._agreed.heard.of(step.node))
        self._agreed.agree([], forget=[step.node], log=[told] if removed else [])


def _moved_stat(agreed: Stat | None, before: Stat | None, after: Stat) -> Stat | None:
    """The stat to remember after a rename (which sets ctime): the new one only if nothing else had changed."""
    if agreed is not None and agreed == before and unmoved(before, after):
        return after
    return agreed
