"""What tracing costs: a request, a commit and a call of AWS, without it, unsampled, and with every span exported.

    python -m bench.bench_tracing [--rounds N] [--json]

All in one process on ports in memory (the call of AWS: by AWS's SDK, to a server beside it), so next to nothing but our
own code is in the figures: the dearest that tracing can look. Spans go by OTLP to a collector in another process. The
three take turns, so that whatever else the machine does meets all; figures are the process's CPU time, the exporting
thread's included, as medians over the rounds.
"""

from __future__ import annotations

import argparse
import asyncio
import http.server
import json
import multiprocessing
import os
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from multiprocessing.connection import Connection

from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, ParentBased

from syncline.aws import Settings, connect
from syncline.domain.commands import MakeFolder
from syncline.otlp import OtelTracing
from syncline.ports import tracing
from syncline.ports.queues import Queue
from syncline.ports.tables import Key, Table
from syncline.ports.tracing import NoTracing, Tracing
from syncline.serving.http import make_app
from syncline.serving.logging import configure_logging
from syncline.serving.metrics import Metrics
from tests.unit.metadata.world import LIBRARY, World

Work = Callable[[], Awaitable[None]]
ROUNDS = 15
TIMES = {"request": 200, "commit": 40, "call of AWS": 60}
OFF, UNSAMPLED, RECORDED = "off", "unsampled", "recorded"


@asynccontextmanager
async def requests() -> AsyncIterator[Work]:
    async def answer(_request: web.Request) -> web.Response:
        return web.Response()

    app = make_app(Metrics("bench"))
    app.router.add_get("/v1/things/{thing}", answer)
    async with TestClient(TestServer(app)) as client:

        async def ask() -> None:
            async with client.get("/v1/things/one") as response:
                assert response.status == 200

        yield ask


@asynccontextmanager
async def commits() -> AsyncIterator[Work]:
    world = await World().begin()
    worker = world.worker()

    async def commit() -> None:
        with tracing.span("request"):
            await world.ask(MakeFolder(world.new_id(), LIBRARY, world.new_id()))
        assert await worker.once(Queue.COMMITS) == 1
        await world.forget(Queue.SYNC)
        await world.forget(Queue.NOTIFY)

    yield commit


@asynccontextmanager
async def calls() -> AsyncIterator[Work]:
    async def answer(_request: web.Request) -> web.Response:
        return web.Response(text="{}", content_type="application/x-amz-json-1.0")

    os.environ |= {"AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "bench"}
    app = web.Application()
    app.router.add_post("/", answer)
    async with TestServer(app, host="127.0.0.1") as server:
        endpoint = str(server.make_url("/")).rstrip("/")
        variables = {"AWS_ENDPOINT_URL": endpoint, "AWS_DEFAULT_REGION": "us-east-1", "SYNCLINE_STACK": "s"}
        async with connect(Settings.from_environ(variables)) as aws:

            async def get() -> None:
                with tracing.span("request"):
                    await aws.tables.get(Table.VIEWS, Key("a", "b"))

            yield get


WORKS = {"request": requests, "commit": commits, "call of AWS": calls}


def _collect(told: Connection) -> None:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_ignored: object) -> None:
            return

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    told.send(server.server_port)
    server.serve_forever()


@contextmanager
def tracings() -> Iterator[dict[str, Tracing]]:
    """What is compared."""
    hear, tell = multiprocessing.Pipe(duplex=False)
    collector = multiprocessing.get_context("spawn").Process(target=_collect, args=(tell,), daemon=True)
    collector.start()
    endpoint = f"http://127.0.0.1:{hear.recv()}/v1/traces"
    providers = {
        UNSAMPLED: TracerProvider(sampler=ParentBased(ALWAYS_OFF), shutdown_on_exit=False),
        RECORDED: TracerProvider(sampler=ParentBased(ALWAYS_ON), shutdown_on_exit=False),
    }
    for provider in providers.values():
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint)))
    try:
        yield {OFF: NoTracing(), **{name: OtelTracing(provider) for name, provider in providers.items()}}
    finally:
        for provider in providers.values():
            provider.shutdown()
        collector.terminate()
        collector.join()


async def measure(rounds: int) -> dict[str, dict[str, float]]:
    """The CPU time of one, in µs, by work and tracing. The first round only warms up."""
    found: dict[str, dict[str, list[float]]] = {work: {} for work in WORKS}
    with tracings() as compared:
        for name, prepare in WORKS.items():
            async with prepare() as work:
                for round_ in range(rounds + 1):
                    for kind, used in compared.items():
                        spent = await _spent(work, used, TIMES[name])
                        if round_:
                            found[name].setdefault(kind, []).append(spent)
    return {
        work: {kind: statistics.median(spent) * 1e6 for kind, spent in kinds.items()} for work, kinds in found.items()
    }


async def _spent(work: Work, used: Tracing, times: int) -> float:
    before = tracing.use(used)
    began = time.process_time()
    try:
        for _ in range(times):
            await work()
    finally:
        tracing.use(before)
    return (time.process_time() - began) / times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    configure_logging("bench", "warning")
    found = asyncio.run(measure(options.rounds))
    if options.json:
        print(json.dumps(found))
        return
    for work, kinds in found.items():
        told = (f"{kind} {spent:.0f} µs ({spent / kinds[OFF]:.2f})" for kind, spent in kinds.items())
        print(f"{work}: {', '.join(told)}")


if __name__ == "__main__":
    main()
