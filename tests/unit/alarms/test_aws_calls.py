"""What only the calls of AWS tell: that it throttles, and what time it is there. Against a server that says so."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.utils import formatdate

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from syncline.aws import Settings, connect
from syncline.aws.connect import Aws
from syncline.domain.errors import Temporary
from syncline.domain.figures import State
from syncline.domain.health import Observation, judge
from syncline.memory.clock import ManualClock
from syncline.memory.tables import MemoryTables
from syncline.ports.queues import Queue
from syncline.serving.aws_calls import AwsCalls
from syncline.serving.metrics import Metrics
from syncline.serving.pulse import Pulse, measures_of_surroundings
from syncline.store.pulses import Pulses
from tests.unit.alarms.world import goes_off


class Answering:
    """Answers every call in the same way; its clock is ``ahead_s`` ahead."""

    def __init__(self, *, throttles: bool = False, ahead_s: int = 0) -> None:
        self.throttles = throttles
        self.ahead_s = ahead_s

    async def answer(self, _request: web.Request) -> web.Response:
        headers = {"Date": formatdate(time.time() + self.ahead_s, usegmt=True)}
        if self.throttles:
            return web.json_response({"__type": "TooManyRequestsException"}, status=429, headers=headers)
        url = {"QueueUrl": "http://queue", "Attributes": {"ApproximateNumberOfMessages": "0"}}
        return web.json_response(url, headers=headers, content_type="application/x-amz-json-1.0")


@asynccontextmanager
async def speaking_with(answering: Answering, calls: AwsCalls) -> AsyncIterator[Aws]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answering.answer)
    async with TestServer(app, host="127.0.0.1") as server:
        url = str(server.make_url("/")).rstrip("/")
        variables = {"AWS_ENDPOINT_URL": url, "AWS_DEFAULT_REGION": "us-east-1", "SYNCLINE_STACK": "s"}
        settings = Settings.from_environ({**variables, "SYNCLINE_MAIL_FROM": "mail@example.org"})
        async with connect(settings, calls) as aws:
            yield aws


class Scene:
    def __init__(self) -> None:
        self.calls, self.tables = AwsCalls(Metrics("syncer")), MemoryTables()
        measures = measures_of_surroundings(ManualClock(), cache=None, calls=self.calls)
        self.pulse = Pulse(Metrics("syncer"), self.tables, ManualClock(), measures, calls=self.calls)

    async def firing(self) -> list[str]:
        """The alarms that go off by the pulse of now."""
        await self.pulse.beat(State.READY)
        (one,) = await Pulses(self.tables).of("syncer")
        return [firing.alarm.name for firing in judge(Observation(one.at_ms, {"syncer": (one,)}, {}, None))]


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Scene:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIATEST")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    return Scene()


@goes_off("throttles")
async def test_aws_throttles(scene: Scene):
    async with speaking_with(Answering(throttles=True), scene.calls) as aws:
        for _ in range(101):
            with pytest.raises(Temporary):
                await aws.mailer.rate()
    assert await scene.firing() == ["throttles"]


@pytest.mark.parametrize("ahead_s", [-120, 120])
@goes_off("clock-off")
async def test_the_clock_of_a_machine_is_off(scene: Scene, ahead_s: int):
    answering = Answering(ahead_s=ahead_s)
    async with speaking_with(answering, scene.calls) as aws:
        await aws.queues.depth(Queue.SYNC)
        assert await scene.firing() == ["clock-off"]
        answering.ahead_s = 0
        await aws.queues.depth(Queue.SYNC)
        assert await scene.firing() == []
