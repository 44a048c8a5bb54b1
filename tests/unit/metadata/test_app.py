"""The whole service on memory ports: its pages, and its consumers running until they are drained."""

from __future__ import annotations

import asyncio

from aiohttp.test_utils import TestClient, TestServer

from services.metadata.app import make_pages, parts
from services.metadata.giving_up import FREE_AFTER_S
from syncline.domain.errors import Temporary
from syncline.memory.clock import ManualClock
from syncline.memory.queues import MemoryQueues
from syncline.ports.queues import Queue
from syncline.serving.life import live
from syncline.serving.metrics import Metrics
from tests.unit.metadata.world import KEYS, World

TURNS_MAX = 5_000


async def test_the_service_runs_until_drained_and_leaves_nothing_half_done(world: World):
    metrics, stop = Metrics("metadata"), asyncio.Event()
    work = parts(
        tables=world.tables,
        objects=world.objects,
        queues=world.queues,
        topic=world.topic,
        cache=world.cache,
        clock=world.clock,
        keys=KEYS,
        metrics=metrics,
        free_after_s=FREE_AFTER_S,
        sweep_interval_s=60,
    )
    living = asyncio.ensure_future(live(work, stop=stop))
    await world.add(*[await world.upload(f"file {n}") for n in range(5)])
    direct = await world.permit(b"content", name="direct", direct=True)
    await world.put(direct, b"content")
    for _ in range(TURNS_MAX):
        await asyncio.sleep(0)
        if len(await world.names()) == 6 and not await world.left_on(Queue.COMMITS, Queue.UPLOADS, Queue.DIRECT):
            break
    stop.set()
    await asyncio.sleep(0)
    await world.clock.run_for(30)
    await living
    assert len(await world.names()) == 6
    await world.whole()
    assert b"syncline_metadata_commits_total" in metrics.exposition()


class AwayQueues(MemoryQueues):
    async def depth(self, queue: Queue) -> int:
        raise Temporary("away")


async def test_it_says_how_it_is(world: World):
    metrics = Metrics("metadata")
    async with TestClient(TestServer(make_pages(metrics, world.tables, world.queues))) as client:
        assert (await client.get("/healthz")).status == 200
        ready = await client.get("/readyz")
        assert ready.status == 200
        assert (await ready.json())["checks"] == {"tables": True, "queues": True}
        assert "syncline_metadata" in await (await client.get("/metrics")).text()
    away = make_pages(Metrics("metadata"), world.tables, AwayQueues(ManualClock()))
    async with TestClient(TestServer(away)) as client:
        ready = await client.get("/readyz")
        assert ready.status == 503
        assert (await ready.json())["checks"] == {"tables": True, "queues": False}
        assert (await client.get("/healthz")).status == 200
