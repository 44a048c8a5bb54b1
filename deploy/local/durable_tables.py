"""MiniStack's DynamoDB (1.5.33) made durable: no answer leaves before all that it could have seen is on the disk.

MiniStack keeps tables in memory and saves them when it is stopped; after `kill -9` they would be those of the last
stop. Here each request's effects become one record of a `GroupLog`, in the order in which they took effect, and
every answer, of reads too, waits until the log has them. Records are msgpack:

    ["rows", [[region, account, table, pk, sk, item or nil], …]]   what these rows are now; nil: gone
    ["tables", {"tables": [[account, region, name, definition], …], "ttl_settings": …, …}]   all definitions now

Replaying them is idempotent, and a base may be taken while writing goes on. Rows that expire (TTL) are removed
without a record: they come back when the log is replayed, and are removed again within a minute.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import msgspec

from deploy.local.group_log import GroupLog
from deploy.local.log_files import Damaged

IMAGE_ROWS = 500
# What changes definitions; settings beside the tables are kept under MiniStack's own names of them.
DEFINING = frozenset(
    {
        "CreateTable",
        "DeleteTable",
        "TagResource",
        "UntagResource",
        "UpdateContinuousBackups",
        "UpdateTable",
        "UpdateTimeToLive",
    }
)
SETTINGS = ("tags", "ttl_settings", "pitr_settings")
# These change rows past the functions that are listened to here, and Syncline needs none of them.
UNLOGGED = frozenset({"ExecuteTransaction", "ImportTable", "RestoreTableFromBackup", "RestoreTableToPointInTime"})

Answer = tuple[int, dict[str, str], bytes]
Row = tuple[str, str, str, str, str, dict[str, Any] | None]

_rows: ContextVar[list[Row] | None] = ContextVar("_rows", default=None)


class DurableTables:
    """Stands between MiniStack and its DynamoDB: `dynamodb` is MiniStack's module, changed by `install`."""

    def __init__(self, dynamodb: Any, log: GroupLog):
        self._dynamodb = dynamodb
        self._log = log
        self._handle = dynamodb.handle_request
        self._set_item = dynamodb._set_item
        self._remove_item = dynamodb._remove_item
        self._rebasing: asyncio.Task[None] | None = None

    def replay(self) -> int:
        """Bring the tables to what the log says; the number of records. Raises Damaged."""
        records = 0
        for record in self._log.replay():
            self._apply(record)
            records += 1
        for table in self._dynamodb._tables.all_values():
            self._dynamodb._update_counts(table)
        return records

    def install(self) -> None:
        """From now on every change is logged, and MiniStack itself neither saves nor loads the tables."""
        module = self._dynamodb
        module.handle_request = self.handle_request
        module._set_item = self._on_set
        module._remove_item = self._on_remove
        module.get_state = lambda: None
        module.load_persisted_state = lambda _: None

    async def rebase(self) -> None:
        """Write a base of all there is and begin a new log."""
        await self._log.rebase(self._images())

    async def close(self) -> None:
        """Wait for what is being written."""
        if self._rebasing is not None:
            await asyncio.gather(self._rebasing, return_exceptions=True)
        await self._log.close()

    # -- one request

    async def handle_request(
        self, method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, list[str]]
    ) -> Answer:
        """MiniStack's own answer, once the log has all that was done until then."""
        action = headers.get("x-amz-target", "").rpartition(".")[2]
        if action in UNLOGGED:
            return _refusal(action)
        rows: list[Row] = []
        token = _rows.set(rows)
        try:
            answer: Answer = await self._handle(method, path, headers, body, query)
        finally:
            _rows.reset(token)
            # Also when it failed half-way: the log says what the memory says.
            if rows:
                self._log.append(msgspec.msgpack.encode(("rows", rows)))
        if action in DEFINING and answer[0] == 200:
            self._log.append(self._definitions())
        await self._log.flushed()
        self._keep_short()
        return answer

    def _on_set(self, table: dict[str, Any], pk: str, sk: str, item: dict[str, Any]) -> Any:
        self._note(table, pk, sk, item)
        return self._set_item(table, pk, sk, item)

    def _on_remove(self, table: dict[str, Any], pk: str, sk: str) -> Any:
        self._note(table, pk, sk, None)
        return self._remove_item(table, pk, sk)

    def _note(self, table: dict[str, Any], pk: str, sk: str, item: dict[str, Any] | None) -> None:
        rows = _rows.get()
        if rows is not None:  # else it is MiniStack's thread that removes what has expired
            rows.append((*_table_of(table["TableArn"]), pk, sk, item))

    def _keep_short(self) -> None:
        if self._log.is_long and (self._rebasing is None or self._rebasing.done()):
            self._rebasing = asyncio.create_task(self._rebase_if_there_is_room())

    async def _rebase_if_there_is_room(self) -> None:
        try:
            await self.rebase()
        except OSError as error:
            # Nothing is lost: the logs go on, and the next base is tried when the newest of them is long.
            print(f"WARNING The tables' log could not be shortened: {error}", file=sys.stderr, flush=True)

    # -- what is

    def _definitions(self) -> bytes:
        module = self._dynamodb
        hidden = ("items", module._INDEX_MEMBERS)
        state: dict[str, Any] = {
            "tables": [
                (*key, {name: value for name, value in table.items() if name not in hidden})
                for key, table in module._tables.all_items()
            ]
        }
        for name in SETTINGS:
            state[name] = [(*key, value) for key, value in getattr(module, f"_{name}").all_items()]
        return msgspec.msgpack.encode(("tables", state))

    async def _images(self) -> AsyncIterator[bytes]:
        """All there is, as records, a few rows at a time so that requests are answered meanwhile."""
        yield self._definitions()
        some: list[Row] = []
        for _, table in self._dynamodb._tables.all_items():
            named = _table_of(table["TableArn"])
            for pk in list(table["items"]):
                # A partition may have gone meanwhile, and its rows may change between two records: the log tells.
                for sk, item in list(table["items"].get(pk, {}).items()):
                    some.append((*named, pk, sk, item))
                    if len(some) >= IMAGE_ROWS:
                        yield msgspec.msgpack.encode(("rows", some))
                        some = []
        if some:
            yield msgspec.msgpack.encode(("rows", some))

    # -- replaying

    def _apply(self, record: bytes) -> None:
        kind, content = msgspec.msgpack.decode(record)
        if kind == "tables":
            self._define(content)
        elif kind == "rows":
            for row in content:
                self._restore(*row)
        else:
            raise Damaged(f"a record of kind {kind!r}")

    def _define(self, state: dict[str, Any]) -> None:
        module = self._dynamodb
        defined = {(account, region, name): definition for account, region, name, definition in state["tables"]}
        for key, table in module._tables.all_items():
            if key not in defined or defined[key]["TableId"] != table["TableId"]:
                module._tables.pop_scoped(*key)
        for key, definition in defined.items():
            before = module._tables.get_scoped(*key)
            items = before["items"] if before else defaultdict(dict)
            module._tables.set_scoped(*key, {**definition, "items": items})
        for name in SETTINGS:
            store = getattr(module, f"_{name}")
            store.clear()
            for account, region, key, value in state[name]:
                store.set_scoped(account, region, key, value)

    def _restore(self, region: str, account: str, name: str, pk: str, sk: str, item: dict[str, Any] | None) -> None:
        table = self._dynamodb._tables.get_scoped(account, region, name)
        if table is None:
            raise Damaged(f"a row of a table {name} that there is not")
        if item is None:
            self._remove_item(table, pk, sk)
        else:
            self._set_item(table, pk, sk, item)


async def make_durable(dynamodb: Any, log: GroupLog, saved: Path, load: Callable[[str], Any]) -> DurableTables:
    """The tables as they were, and everything logged from now on. Call before MiniStack serves. Raises Damaged.

    `saved` is where MiniStack alone would have left the tables when it stopped; `load` reads it. Such tables are
    taken over, once.
    """
    tables = DurableTables(dynamodb, log)
    taken_over = not log.has_base and await asyncio.to_thread(saved.exists)
    if taken_over:
        dynamodb.load_persisted_state(load("dynamodb"))
    tables.replay()
    tables.install()
    if taken_over:
        await tables.rebase()
    await asyncio.to_thread(saved.unlink, missing_ok=True)
    return tables


def _table_of(arn: str) -> tuple[str, str, str]:
    """(region, account, name) of arn:aws:dynamodb:REGION:ACCOUNT:table/NAME."""
    _, _, _, region, account, resource = arn.split(":", 5)
    return region, account, resource.removeprefix("table/")


def _refusal(action: str) -> Answer:
    text = f"The local AWS does not log {action}, so it does not do it."
    body = json.dumps({"__type": "UnknownOperationException", "message": text}).encode()
    return 400, {"Content-Type": "application/x-amz-json-1.0", "x-amzn-errortype": "UnknownOperationException"}, body
