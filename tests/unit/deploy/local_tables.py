"""Lives of the local tables, for tests: started on a folder, written to, ended, or killed.

As a program, `python -m tests.unit.deploy.local_tables FOLDER SEED`, it writes until it is killed, with a log so short
that new bases are always being made, and says on its output what it is about to do ("?") and what was answered ("!").
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import random
import shutil
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

from deploy.local import durable_tables
from deploy.local.durable_tables import DurableTables, make_durable
from deploy.local.group_log import GroupLog

TABLE = "syncline-journal"
WRITERS = 8
KEYS_EACH = 6
SHORT_BYTES = 3_000
SHORT_IMAGE_ROWS = 4
GONE = "-"


def disk_fails(reason: str) -> NoReturn:
    raise AssertionError(reason)


def fresh_dynamodb() -> ModuleType:
    """A DynamoDB that has just been started: MiniStack keeps its state in its module."""
    spec = importlib.util.find_spec("ministack.services.dynamodb")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Local:
    """One life of the local tables, from start to kill."""

    def __init__(self, folder: Path, saved: Path | None = None, *, bytes_max: int = 1 << 30) -> None:
        self.folder = folder
        self.module = fresh_dynamodb()
        self.log = GroupLog(folder, disk_fails, bytes_max=bytes_max)
        self._saved = saved or folder / "none.json"

    async def __aenter__(self) -> Local:
        self.tables: DurableTables = await make_durable(self.module, self.log, self._saved, self._load)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.tables.close()

    def _load(self, _: str) -> Any:
        return json.loads(self._saved.read_bytes())

    async def ask(self, action: str, **body: Any) -> tuple[int, Any]:
        """A request as MiniStack hands it to its DynamoDB."""
        headers = {"x-amz-target": f"DynamoDB_20120810.{action}"}
        status, _, answer = await self.module.handle_request("POST", "/", headers, json.dumps(body).encode(), {})
        return status, json.loads(answer)

    async def create(self, table: str = TABLE) -> int:
        keys = {"pk": "HASH", "sk": "RANGE"}
        status, _ = await self.ask(
            "CreateTable",
            TableName=table,
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in keys],
            KeySchema=[{"AttributeName": name, "KeyType": kind} for name, kind in keys.items()],
            BillingMode="PAY_PER_REQUEST",
        )
        return status

    async def put(self, pk: str, value: str, **more: Any) -> int:
        return (await self.ask("PutItem", TableName=TABLE, Item=row(pk, value), **more))[0]

    async def rows(self, table: str = TABLE) -> dict[str, str]:
        _, answer = await self.ask("Scan", TableName=table)
        return {item["pk"]["S"]: item["value"]["S"] for item in answer["Items"]}

    def killed(self, copy: Path) -> Local:
        """The next life, if this one ends now."""
        shutil.copytree(self.folder, copy)
        return Local(copy)


def key(pk: str) -> dict[str, Any]:
    return {"pk": {"S": pk}, "sk": {"S": "row"}}


def row(pk: str, value: str) -> dict[str, Any]:
    return {**key(pk), "value": {"S": value}, "blob": {"B": "AAEC"}, "n": {"N": "7"}, "m": {"M": {"l": {"L": []}}}}


async def write_until_killed(folder: Path, seed: int) -> None:
    chance = random.Random(seed)
    durable_tables.IMAGE_ROWS = SHORT_IMAGE_ROWS
    async with Local(folder, bytes_max=SHORT_BYTES) as local:
        await local.create()

        async def write(number: int) -> None:
            turn = 0
            while True:
                turn += 1
                pk = f"{number}/{chance.randrange(KEYS_EACH)}"
                value = GONE if chance.random() < 0.2 else f"{seed}.{turn}"
                _say("?", pk, value)
                if value == GONE:
                    await local.ask("DeleteItem", TableName=TABLE, Key=key(pk))
                else:
                    await local.put(pk, value)
                _say("!", pk, value)

        await asyncio.gather(*map(write, range(WRITERS)))


def _say(*words: str) -> None:
    sys.stdout.write(" ".join(words) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(write_until_killed(Path(sys.argv[1]), int(sys.argv[2])))
