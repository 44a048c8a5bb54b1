"""Sending what ``put`` gathered, several files at once, and telling what became of each."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence

import msgspec

from syncline.client.api import Api
from syncline.client.cli.calling import Answer, Call
from syncline.client.cli.committing import next_counter
from syncline.client.cli.exits import Exit, exit_of
from syncline.client.cli.failures import problem_of
from syncline.client.cli.new_folders import NewFolders
from syncline.client.cli.outcomes import complaint
from syncline.client.cli.output import counted, name_text, size_text
from syncline.client.cli.parcels import Gathered, Order, Parcel, Receipt
from syncline.client.cli.remote import RemotePath, children_of, look_up
from syncline.client.cli.sender import Sender
from syncline.domain.commands import MAX_REQUESTS
from syncline.domain.commits import Status
from syncline.domain.errors import Refused
from syncline.domain.nodes import Kind
from syncline.domain.paths import join_path
from syncline.messages.api import CommitBody, Library, NodeState

LOOKED_UP_MAX = 4
"""With more files than this for one folder, the folder is listed instead of asking for each."""


class Outbox:
    """Sends what was gathered, several files at once."""

    def __init__(self, call: Call, api: Api, sender: Sender, library: Library, written: str) -> None:
        self._call = call
        self._api = api
        self._sender = sender
        self._library = library
        self._written = written

    async def send(self, gathered: Gathered) -> Answer:
        """Make the folders, send the files, and tell. Raises the error when the only file could not be sent."""
        made, folders = await self._make_folders(gathered)
        there = await self._what_is_there(gathered, folders)
        orders, refused = [], []
        for parcel in gathered.parcels:
            node = there.get(parcel.path)
            if node is not None and node.kind is Kind.FOLDER:
                refused.append(Receipt(parcel, error=self._is_a_folder(parcel)))
            else:
                orders.append(Order(parcel, folders[parcel.folder], node))
        receipts = [*refused, *await self._sender.send(orders)]
        if len(receipts) == 1 and not gathered.left and (error := receipts[0].error) is not None:
            raise error
        return self._answer(gathered, made, receipts)

    def _is_a_folder(self, parcel: Parcel) -> Refused:
        detail = f"{name_text(f'{self._written}:{parcel.path}')} is a folder; send the file under another name."
        return Refused("not-a-file", detail, status=409)

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
        return Answer(
            document,
            self._text(made, good),
            _exit(receipts, left=len(gathered.left)),
            chatty=True,
            complaints=complaints,
        )

    def _text(self, made: list[str], good: list[Receipt]) -> str:
        sent = [receipt for receipt in good if receipt.sent]
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
            "sent": receipt.sent,
        }
        if receipt.result is not None:
            result: dict[str, object] = msgspec.to_builtins(receipt.result)
            return told | result
        assert receipt.error is not None
        return told | {"problem": problem_of(receipt.error)}


def _exit(receipts: Sequence[Receipt], *, left: int) -> Exit:
    """OK when all is well, 5 when some is, else what the worst error says."""
    if all(receipt.good for receipt in receipts):
        return Exit.PARTLY if left else Exit.OK
    if any(one.result is not None and one.result.status is not Status.REFUSED for one in receipts):
        return Exit.PARTLY
    return max((exit_of(one.error) for one in receipts if one.error is not None), default=Exit.REFUSED)
