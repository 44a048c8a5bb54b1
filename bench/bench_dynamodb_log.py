"""What logging the embedded stack's tables costs: the local AWS with and without its log, side by side.

    python -m bench.bench_dynamodb_log [--seconds S] [--rounds N] [--json]

Two local AWS run at once, one as it is and one without the log (what it keeps then would be lost by a kill). They get
the same requests in turns, so that whatever else the machine does meets both. Requests are written by hand over
aiohttp, since an SDK would cost more than what is measured. The ratio is that of the medians over all rounds.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from deploy.local import aws
from deploy.local.aws_server import TABLES_DIR
from deploy.local.place import HOST, PORTS, Place, Ports

TREE = Path(__file__).resolve().parents[1]
TABLE = "bench"
START_S_MAX = 60
# About what the packed commit of a few changes takes.
BODY = base64.b64encode(os.urandom(600)).decode()
ROW = {"body": {"B": BODY}, "expires_at": {"N": "4000000000"}}


@dataclass
class Server:
    """One local AWS under measurement: seconds of each request, by workload."""

    name: str
    http: aiohttp.ClientSession
    url: str
    key: str
    rates: dict[str, list[float]] = field(default_factory=dict)
    latencies: dict[str, list[float]] = field(default_factory=dict)
    _count: int = 0

    async def ask(self, action: str, body: dict[str, Any]) -> dict[str, Any]:
        headers = {
            "X-Amz-Target": f"DynamoDB_20120810.{action}",
            "Content-Type": "application/x-amz-json-1.0",
            # The stack's root key: MiniStack does not check its signature.
            "Authorization": f"AWS4-HMAC-SHA256 Credential={self.key}/20260101/{aws.REGION}/dynamodb/aws4_request, "
            "SignedHeaders=host, Signature=0",
        }
        async with self.http.post(self.url, headers=headers, data=json.dumps(body)) as response:
            answer: dict[str, Any] = await response.json(content_type=None)
            if response.status != 200:
                raise RuntimeError(f"{action}: {answer}")
            return answer

    def fresh(self) -> str:
        self._count += 1
        return f"{self._count:09d}"


Request = Callable[[Server], tuple[str, dict[str, Any]]]


def put_item(server: Server) -> tuple[str, dict[str, Any]]:
    return "PutItem", {"TableName": TABLE, "Item": _row(server.fresh())}


def commit(server: Server) -> tuple[str, dict[str, Any]]:
    """What appending a commit writes: three rows in one transaction, each on a condition."""
    number = server.fresh()
    absent = {"ConditionExpression": "attribute_not_exists(pk)"}
    puts = [{"Put": {"TableName": TABLE, "Item": _row(f"{number}.{part}"), **absent}} for part in range(3)]
    return "TransactWriteItems", {"TransactItems": puts}


def batch_write(server: Server) -> tuple[str, dict[str, Any]]:
    """What writing views does: 25 rows at once."""
    number = server.fresh()
    return "BatchWriteItem", {
        "RequestItems": {TABLE: [{"PutRequest": {"Item": _row(f"{number}.{n}")}} for n in range(25)]}
    }


def get_item(server: Server) -> tuple[str, dict[str, Any]]:
    """Nothing is written, so nothing need be waited for."""
    return "GetItem", {"TableName": TABLE, "Key": {"pk": {"S": "p1"}, "sk": {"S": "000000001"}}}


WORKLOADS: dict[str, tuple[Request, int]] = {
    "GetItem, 8 at once": (get_item, 8),
    "PutItem, 1 at once": (put_item, 1),
    "PutItem, 8 at once": (put_item, 8),
    "PutItem, 32 at once": (put_item, 32),
    "commit (3 rows), 1 at once": (commit, 1),
    "commit (3 rows), 8 at once": (commit, 8),
    "views (25 rows), 4 at once": (batch_write, 4),
}


def _row(name: str) -> dict[str, Any]:
    # Small partitions, as Syncline's are: MiniStack's queries cost whole ones.
    return {"pk": {"S": f"p{name[:-1]}"}, "sk": {"S": name}, **ROW}


async def measure(server: Server, workload: str, seconds: float) -> None:
    request, at_once = WORKLOADS[workload]
    until = time.perf_counter() + seconds
    spent: list[float] = []

    async def ask_on() -> None:
        while (began := time.perf_counter()) < until:
            await server.ask(*request(server))
            spent.append(time.perf_counter() - began)

    began = time.perf_counter()
    await asyncio.gather(*(ask_on() for _ in range(at_once)))
    server.rates.setdefault(workload, []).append(len(spent) / (time.perf_counter() - began))
    server.latencies.setdefault(workload, []).extend(spent)


async def run(seconds: float, rounds: int) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        async with AsyncExitStack() as opened:
            plain, logged = [
                await opened.enter_async_context(local_aws(Path(folder, name), name)) for name in ("without", "with")
            ]
            for round_ in range(rounds):
                for workload in WORKLOADS:
                    # Who goes first changes, so that neither gains by it.
                    for server in (plain, logged) if round_ % 2 else (logged, plain):
                        await measure(server, workload, seconds)
            return [compared(workload, plain, logged) for workload in WORKLOADS]


def compared(workload: str, plain: Server, logged: Server) -> dict[str, Any]:
    rates = [statistics.median(server.rates[workload]) for server in (plain, logged)]
    medians = [statistics.median(server.latencies[workload]) * 1000 for server in (plain, logged)]
    tails = [statistics.quantiles(server.latencies[workload], n=100)[98] * 1000 for server in (plain, logged)]
    return {
        "workload": workload,
        "requests_per_s": dict(zip(("without", "with"), map(round, rates), strict=True)),
        "ratio": round(rates[1] / rates[0], 2),
        "median_ms": dict(zip(("without", "with"), (round(ms, 2) for ms in medians), strict=True)),
        "p99_ms": dict(zip(("without", "with"), (round(ms, 2) for ms in tails), strict=True)),
    }


@asynccontextmanager
async def local_aws(folder: Path, name: str) -> AsyncIterator[Server]:
    place = Place(folder, Ports(*_free_ports(len(PORTS))))
    place.make()
    environment = aws.environment(place)
    if name == "without":
        del environment[TABLES_DIR]
    with _process(environment):
        async with aiohttp.ClientSession() as http:
            server = Server(name, http, place.aws_url + "/", aws.root_key(place).id)
            await _until_ready(http, place)
            keys = {"pk": "HASH", "sk": "RANGE"}
            table = {
                "TableName": TABLE,
                "AttributeDefinitions": [{"AttributeName": key, "AttributeType": "S"} for key in keys],
                "KeySchema": [{"AttributeName": key, "KeyType": kind} for key, kind in keys.items()],
                "BillingMode": "PAY_PER_REQUEST",
            }
            await server.ask("CreateTable", table)
            yield server


@contextmanager
def _process(environment: dict[str, str]) -> Iterator[None]:
    process = subprocess.Popen([sys.executable, "-m", "deploy.local.aws_server"], env=environment, cwd=TREE)
    try:
        yield
    finally:
        process.kill()
        process.wait()


async def _until_ready(http: aiohttp.ClientSession, place: Place) -> None:
    async with asyncio.timeout(START_S_MAX):
        while True:
            try:
                async with http.get(place.aws_url + aws.HEALTH_PATH) as response:
                    if response.status == 200:
                        return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.1)


def _free_ports(count: int) -> list[int]:
    with ExitStack() as opened:
        sockets = [opened.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind((HOST, 0))
        return [int(one.getsockname()[1]) for one in sockets]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each workload, round and server")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    results = asyncio.run(run(options.seconds, options.rounds))
    if options.json:
        print(json.dumps(results, indent=2))
        return
    print(f"{'':<28}{'requests/s':>22}{'':>8}{'median ms':>20}{'p99 ms':>20}")
    print(f"{'workload':<28}{'without':>11}{'with':>11}{'ratio':>8}" + f"{'without':>10}{'with':>10}" * 2)
    for result in results:
        pairs = [result[name] for name in ("median_ms", "p99_ms")]
        rates = result["requests_per_s"]
        print(
            f"{result['workload']:<28}{rates['without']:>11}{rates['with']:>11}{result['ratio']:>8}"
            + "".join(f"{pair['without']:>10}{pair['with']:>10}" for pair in pairs)
        )


if __name__ == "__main__":
    main()
