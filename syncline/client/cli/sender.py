"""Sending files of ``put``: permits in batches, bytes in parallel, one commit for what arrived, large files resumed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from syncline.client.api import Api
from syncline.client.cli.parcels import Order, Parcel, Receipt
from syncline.client.credentials import GrantCredentials
from syncline.client.disk import Disk
from syncline.client.hashing import content_of
from syncline.client.index import Index
from syncline.client.progress import Progress, Way
from syncline.client.resuming import take_up
from syncline.client.tasks import each
from syncline.client.transfer import ContentChanged, ObjectsOverHttp, Source, Transfers, upload_ident
from syncline.client.trees import Content, Stat, content_of_version
from syncline.domain.checksums import is_multipart
from syncline.domain.commits import Status
from syncline.domain.errors import Refused, SynclineError, Temporary
from syncline.messages import api as m

BATCH_MAX = 500
BATCHES_AT_ONCE = 2
HASHED_AT_ONCE = 4
KIND_OF_A_SPENT_PERMIT = "permit-expired"


@dataclass(frozen=True)
class Looked:
    """An order whose file has been read: its content is what is sent, or nothing."""

    order: Order
    stat: Stat
    content: Content

    @property
    def parcel(self) -> Parcel:
        return self.order.parcel


class Sender:
    """Sends to one library. Once the service cannot be reached or says no to this account, the rest is not tried."""

    def __init__(self, api: Api, library: str, index: Index, transfers: Transfers, progress: Progress) -> None:
        self._api = api
        self._library = library
        self._index = index
        self._transfers = transfers
        self._progress = progress
        self._batches = asyncio.Semaphore(BATCHES_AT_ONCE)
        self._hashing = asyncio.Semaphore(HASHED_AT_ONCE)
        self._receipts: dict[Parcel, Receipt] = {}
        self._stopped: SynclineError | None = None

    async def send(self, orders: Sequence[Order]) -> list[Receipt]:
        """One receipt per order, in order."""
        self._progress.expect(Way.UP, len(orders), sum(order.parcel.size_bytes for order in orders))
        small = [order for order in orders if not is_multipart(order.parcel.size_bytes)]
        large = [order for order in orders if is_multipart(order.parcel.size_bytes)]
        chunks = [small[start : start + BATCH_MAX] for start in range(0, len(small), BATCH_MAX)]
        await each([*(partial(self._batch, chunk) for chunk in chunks), *(partial(self._large, one) for one in large)])
        return [self._receipts[order.parcel] for order in orders]

    # -- small files, many to a command

    async def _batch(self, orders: Sequence[Order]) -> None:
        async with self._batches:
            looked = await each([partial(self._look, order) for order in orders])
            ready = [one for one in looked if one is not None]
            if not ready:
                return
            counter = self._next_counter()
            intents = [_intent(one, counter) for one in ready]
            try:
                answer = await self._api.uploads(self._library, m.UploadRequest(intents=intents))
            except SynclineError as error:
                self._fail(ready, error)
                return
            s3 = self._transfers.s3(GrantCredentials(self._api, self._library, answer))
            permits = zip(ready, answer.permits, strict=True)
            arrived = await each([partial(self._put, one, permitted, s3) for one, permitted in permits])
            await self._commit([sent for sent in arrived if sent is not None], counter)

    async def _put(
        self, looked: Looked, permitted: m.Permitted, s3: ObjectsOverHttp
    ) -> tuple[Looked, m.Permitted] | None:
        async with self._transfers.lane(looked.content.size_bytes):
            if await self._sent(looked, permitted, s3):
                return looked, permitted
        return None

    # -- large files, one by one, each to be resumed

    async def _large(self, order: Order) -> None:
        async with self._transfers.lane(order.parcel.size_bytes):
            looked = await self._look(order)
            if looked is None:
                return
            counter = self._next_counter()
            ident = upload_ident(*_place(looked), looked.content)
            try:
                spent = await self._large_once(looked, ident, counter)
                if spent:
                    await self._large_once(looked, ident, counter)
            except SynclineError as error:
                self._fail([looked], error)

    async def _large_once(self, looked: Looked, ident: str, counter: int) -> bool:
        """Whether it was taken up from an earlier run whose permit turned out to be spent: then all is to be sent."""
        intent = _intent(looked, counter)
        taken = await take_up(self._api, self._index, self._library, ident, intent)
        s3 = self._transfers.s3(taken.credentials)
        if not await self._sent(looked, taken.permitted, s3, upload=taken.upload, begun=taken.keep):
            return False
        await self._commit([(looked, taken.permitted)], counter)
        result = self._receipts[looked.parcel].result
        if result is not None:
            taken.forget()
        return bool(taken.upload) and result is not None and result.reason == KIND_OF_A_SPENT_PERMIT

    # -- common

    async def _look(self, order: Order) -> Looked | None:
        """The file as it is now; None, and a receipt, when there is nothing to send or it cannot be read."""
        parcel = order.parcel
        async with self._hashing:
            if self._stopped is not None:
                self._receipts[parcel] = Receipt(parcel, error=self._stopped)
                return None
            try:
                found = await asyncio.to_thread(content_of, parcel.source)
            except OSError as error:
                self._receipts[parcel] = Receipt(parcel, error=error)
                return None
        if found is None:
            self._receipts[parcel] = Receipt(parcel, error=_changed(parcel))
            return None
        looked = Looked(order, *found)
        there = order.replaces.version if order.replaces else None
        if there and content_of_version(there) == looked.content:
            assert order.replaces is not None
            same = m.ResultState(
                status=Status.UNCHANGED, node=order.replaces.id, seq=order.replaces.seq, version=there.id
            )
            self._receipts[parcel] = Receipt(parcel, same)
            self._progress.moved(Way.UP, parcel.size_bytes)
            self._progress.finished(Way.UP, parcel.path)
            return None
        return looked

    async def _sent(
        self,
        looked: Looked,
        permitted: m.Permitted,
        s3: ObjectsOverHttp,
        *,
        upload: str = "",
        begun: Callable[[str], None] | None = None,
    ) -> bool:
        """Whether the bytes are where the permit says; if not, there is a receipt that says why."""
        if self._stopped is not None:
            self._fail([looked], self._stopped)
            return False
        source = looked.parcel.source
        read = partial(Disk(source.parent).read, source.name)
        try:
            await self._transfers.send(Source(looked.content, read), s3, permitted, upload=upload, begun=begun)
        except ContentChanged:
            self._fail([looked], _changed(looked.parcel))
            return False
        except SynclineError as error:
            self._fail([looked], error)
            return False
        self._progress.finished(Way.UP, looked.parcel.path)
        return True

    async def _commit(self, sent: Sequence[tuple[Looked, m.Permitted]], counter: int) -> None:
        if not sent:
            return
        requests: list[m.CommitRequest] = [m.AddVersion(permit=permitted.permit) for _, permitted in sent]
        try:
            answer = await self._api.commit(self._library, m.CommitBody(requests=requests, counter=counter))
        except SynclineError as error:
            self._fail([looked for looked, _ in sent], error)
            return
        for (looked, _), result in zip(sent, answer.results, strict=True):
            self._receipts[looked.parcel] = Receipt(looked.parcel, result, sent=True)

    def _fail(self, looked: Sequence[Looked], error: SynclineError) -> None:
        if isinstance(error, Temporary) or (isinstance(error, Refused) and error.status in (401, 403)):
            self._stopped = error
        for one in looked:
            self._receipts[one.parcel] = Receipt(one.parcel, error=error)

    def _next_counter(self) -> int:
        return self._index.next_counter(time.time_ns() // 1_000_000)


def _intent(looked: Looked, counter: int) -> m.Intent:
    parent, name, node, base_version = _place(looked)
    return m.Intent(
        node=node,
        parent=parent,
        name=name,
        base_version=base_version,
        size_bytes=looked.content.size_bytes,
        checksum=looked.content.checksum,
        mtime_ns=looked.stat.mtime_ns,
        executable=looked.content.executable,
        symlink=looked.content.symlink,
        counter=counter,
    )


def _place(looked: Looked) -> tuple[str, str, str, str]:
    """(parent, name, node, base version): the first two for a new file, the others for one that is there."""
    there = looked.order.replaces
    if there is None:
        return looked.order.parent, looked.parcel.name, "", ""
    return "", "", there.id, there.version.id if there.version else ""


def _changed(parcel: Parcel) -> Refused:
    detail = f"{parcel.source} was written to while it was read, or is no ordinary file; send it again."
    return Refused("content-changed", detail, status=409)
