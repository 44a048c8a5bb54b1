"""Sending what ``put`` gathered, several files at once, and telling what became of each."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from syncline.client.api import Api
from syncline.client.cli.calling import Answer, Call
from syncline.client.cli.committing import next_counter
from syncline.client.cli.exits import Exit, exit_of
from syncline.client.cli.failures import problem_of
from syncline.client.cli.gathering import Gathered, Parcel
from syncline.client.cli.new_folders import NewFolders
from syncline.client.cli.outcomes import GOOD, complaint
from syncline.client.cli.output import counted, name_text, size_text
from syncline.client.cli.remote import RemotePath, children_of, look_up
from syncline.client.courier import Courier
from syncline.domain.commands import MAX_REQUESTS
from syncline.domain.commits import Status
from syncline.domain.errors import Refused, SynclineError, Temporary
from syncline.domain.nodes import Kind
from syncline.domain.paths import join_path
from syncline.messages.api import CommitBody, Library, NodeState, ResultState

AT_ONCE = 8
LOOKED_UP_MAX = 4
"""With more files than this for one folder, the folder is listed instead of asking for each."""


@dataclass(frozen=True)
class Receipt:
    """What became of one parcel: a result, or an error."""

    parcel: Parcel
    result: ResultState | None = None
    error: Exception | None = None

    @property
    def good(self) -> bool:
        return self.result is not None and self.result.status in GOOD


class Outbox:
    """Sends what was gathered, several files at once."""

    def __init__(self, call: Call, api: Api, courier: Courier, library: Library, written: str) -> None:
        self._call = call
        self._api = api
        self._courier = courier
        self._library = library
        self._written = written

    async def send(self, gathered: Gathered) -> Answer:
        """Make the folders, send the files, and tell. Raises the error when nothing at all could be done."""
        made, folders = await self._make_folders(gathered)
        there = await self._what_is_there(gathered, folders)
        receipts = await self._send_all(gathered.parcels, folders, there)
        failed = [receipt.error for receipt in receipts if receipt.error is not None]
        if failed and len(failed) == len(receipts) == 1:
            raise failed[0]
        return self._answer(gathered, made, receipts)

    async def _make_folders(self, gathered: Gathered) -> tuple[list[str], dict[str, str]]:
        """(paths made, ids by path) of all folders that files go to."""
        plan = NewFolders(self._api, self._library, self._written)
        wanted = list(dict.fromkeys([*gathered.folders, *(parcel.folder for parcel in gathered.parcels)]))
        ids = {path: await plan.add(RemotePath(self._written, path), parents=True) for path in wanted}
        for start in range(0, len(plan.requests), MAX_REQUESTS):
            requests = plan.requests[start : start + MAX_REQUESTS]
            body = CommitBody(requests=requests, counter=next_counter(self._call), all_or_nothing=True)
            answer = await self._api.commit(self._library.id, body)
            if answer.refused:
                detail = next((result.detail for result in answer.results if result.detail), "")
                raise Refused(answer.refused, detail or "The folders could not be made; look at it and try again.")
        return plan.paths, ids

    async def _what_is_there(self, gathered: Gathered, folders: dict[str, str]) -> dict[str, NodeState]:
        """The nodes that are already where parcels go, by path."""
        there: dict[str, NodeState] = {}
        for folder, number in Counter(parcel.folder for parcel in gathered.parcels).items():
            if number > LOOKED_UP_MAX:
                children = await children_of(self._api, self._library, folders[folder])
                there |= {join_path(folder, child.name): child for child in children}
                continue
            for parcel in gathered.parcels:
                if parcel.folder == folder:
                    node = await look_up(self._api, self._library, RemotePath(self._written, parcel.path))
                    there |= {parcel.path: node} if node is not None else {}
        return there

    async def _send_all(
        self, parcels: Sequence[Parcel], folders: dict[str, str], there: dict[str, NodeState]
    ) -> list[Receipt]:
        """One receipt per parcel. Once the service cannot be reached the rest is not tried."""
        gate = asyncio.Semaphore(AT_ONCE)
        stopped: SynclineError | None = None

        async def send(parcel: Parcel) -> Receipt:
            nonlocal stopped
            async with gate:
                if stopped is not None:
                    return Receipt(parcel, error=stopped)
                try:
                    return Receipt(parcel, await self._send(parcel, folders[parcel.folder], there.get(parcel.path)))
                except (SynclineError, OSError) as error:
                    if isinstance(error, Temporary) or (isinstance(error, Refused) and error.status == 401):
                        stopped = error
                    return Receipt(parcel, error=error)

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(send(parcel)) for parcel in parcels]
        return [task.result() for task in tasks]

    async def _send(self, parcel: Parcel, parent: str, there: NodeState | None) -> ResultState:
        if there is not None and there.kind is Kind.FOLDER:
            detail = f"{name_text(f'{self._written}:{parcel.path}')} is a folder; send the file under another name."
            raise Refused("not-a-file", detail, status=409)
        return await self._courier.put(self._library.id, parcel.source, parent=parent, name=parcel.name, replaces=there)

    def _answer(self, gathered: Gathered, made: list[str], receipts: list[Receipt]) -> Answer:
        good = [receipt for receipt in receipts if receipt.good]
        complaints = [self._complaint(receipt) for receipt in receipts if not receipt.good]
        complaints += [f"{name_text(path)} was left out: {why}" for path, why in gathered.left]
        document = {
            "library": self._library.id,
            "folders_made": made,
            "files": [self._document(receipt) for receipt in receipts],
            "left_out": [{"path": path, "reason": why} for path, why in gathered.left],
        }
        return Answer(document, self._text(made, good), _exit(receipts), chatty=True, complaints=complaints)

    def _text(self, made: list[str], good: list[Receipt]) -> str:
        sent = [one for one in good if one.result is not None and one.result.status is Status.APPLIED]
        same = len(good) - len(sent)
        size = size_text(sum(receipt.parcel.size_bytes for receipt in sent))
        parts = []
        if len(sent) == 1:
            parts.append(f"Sent {name_text(f'{self._written}:{sent[0].parcel.path}')} ({size})")
        elif sent:
            parts.append(f"Sent {counted(len(sent), 'file')} ({size})")
        if same:
            parts.append(f"{counted(same, 'file was', 'files were')} there already, with the same content")
        if made:
            parts.append(f"made {counted(len(made), 'folder')}")
        text = "; ".join(parts)
        return text[:1].upper() + text[1:]

    def _complaint(self, receipt: Receipt) -> str:
        if receipt.result is not None:
            return complaint(f"{self._written}:{receipt.parcel.path}", receipt.result)
        assert receipt.error is not None
        return f"{name_text(str(receipt.parcel.source))} was not sent: {problem_of(receipt.error)['detail']}"

    def _document(self, receipt: Receipt) -> dict[str, object]:
        told: dict[str, object] = {
            "source": os.fsencode(receipt.parcel.source).decode(errors="replace"),
            "path": receipt.parcel.path,
            "size_bytes": receipt.parcel.size_bytes,
        }
        if receipt.result is not None:
            result: dict[str, object] = msgspec.to_builtins(receipt.result)
            return told | result
        assert receipt.error is not None
        return told | {"problem": problem_of(receipt.error)}


def _exit(receipts: Sequence[Receipt]) -> Exit:
    """OK when all is well, 5 when some is, else what the first error says."""
    if all(receipt.good for receipt in receipts):
        return Exit.OK
    took_effect = any(one.result is not None and one.result.status is not Status.REFUSED for one in receipts)
    if took_effect:
        return Exit.PARTLY
    return max((exit_of(one.error) for one in receipts if one.error is not None), default=Exit.REFUSED)
