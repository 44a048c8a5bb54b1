"""All four services alive on memory ports and one clock, with ports that can be broken, and an operator who looks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TypeVar

from aiohttp.test_utils import TestClient, TestServer

import services.metadata.app as metadata
from services.gateway.app import Keys, Ports as GatewayPorts, make_gateway
from services.notifier.app import Ports as NotifierPorts, make_notifier
from services.syncer.app import Ports as SyncerPorts, make_syncer
from syncline.admin.health import Look, Looking
from syncline.memory.credentials import MemoryCredentials
from syncline.memory.faults import (
    FaultPlan,
    FaultyCache,
    FaultyMailer,
    FaultyObjects,
    FaultyTables,
    FaultyTopic,
)
from syncline.memory.mail import MemoryMailer
from syncline.ports.mail import SendRate
from syncline.serving.auth import Caller, Tokens
from syncline.serving.life import Part, live
from syncline.serving.limits import DEFAULTS
from syncline.serving.metrics import Metrics
from syncline.serving.pulse import Pulse, measures_of_requests, measures_of_surroundings
from tests.unit.admin.world import Operated
from tests.unit.metadata.sweeping import KEY, PUBLIC_URL
from tests.unit.metadata.world import ALICE, KEYS, LAPTOP, LIBRARY

SWEEP_S = 60
FAST = SendRate(1_000, 10**6)
T = TypeVar("T")
UNLIMITED_RATES = dict.fromkeys(DEFAULTS, 0)
GONE: set[str] = set()
"""The kinds of alarms that a test has made go off."""


def goes_off(kind: str) -> Callable[[Callable[..., object]], Callable[..., object]]:
    """Says of a test that it makes alarms of this kind go off."""

    def keep(test: Callable[..., object]) -> Callable[..., object]:
        GONE.add(kind)
        return test

    return keep


class Plan(FaultPlan):
    """Fails with every call while it is ``on``, and takes ``delay_s`` of real time for each."""

    def __init__(self) -> None:
        super().__init__(1, before=1.0)
        self.on = False
        self.delay_s = 0.0

    async def run(self, call: str, effect: Callable[[], Awaitable[T]]) -> T:
        await asyncio.sleep(self.delay_s)
        return await super().run(call, effect)


class Stack(Operated):
    """``broken`` names ports that fail with every call: objects, topic, cache, mail, and ``tables of SERVICE``.

    Services share the ports; each has tables of its own to lose. Letters and mail go out as fast as ``allowed`` says.
    """

    def __init__(self, *, allowed: SendRate = FAST) -> None:
        super().__init__()
        self.mailer = MemoryMailer(allowed=allowed)
        self._plans: dict[str, Plan] = {}
        self._lives: dict[str, asyncio.Task[None]] = {}
        self._stops: dict[str, asyncio.Event] = {}

    async def begin(self) -> Stack:
        await super().begin()
        for service in ("gateway", "metadata", "syncer", "notifier"):
            self.start(service)
        await self.pass_time(1)
        return self

    # -- what happens to it

    def plan(self, port: str) -> Plan:
        return self._plans.setdefault(port, Plan())

    def breaks(self, *ports: str) -> None:
        for port in ports:
            self.plan(port).on = True

    def mends(self, *ports: str) -> None:
        for port in ports:
            self.plan(port).on = False

    async def kill(self, service: str) -> None:
        """Its last words reach nobody."""
        self.breaks(f"tables of {service}")
        self._lives[service].cancel()
        await asyncio.gather(self._lives[service], return_exceptions=True)

    async def stop(self, service: str) -> None:
        """As an operator stops it."""
        self._stops[service].set()
        await self.pass_time(60)
        await self._lives[service]

    def start(self, service: str) -> None:
        self.mends(f"tables of {service}")
        made: dict[str, Callable[[], Sequence[Part]]] = {
            "gateway": self._gateway,
            "metadata": self._metadata,
            "syncer": self._syncer,
            "notifier": self._notifier,
        }
        self._stops[service] = asyncio.Event()
        self._lives[service] = asyncio.create_task(live(made[service](), stop=self._stops[service]))

    async def pass_time(self, seconds: float) -> None:
        await self.clock.run_for(seconds)
        for service, life in self._lives.items():
            assert not life.done() or self.plan(f"tables of {service}").on or self._stops[service].is_set(), life

    async def get_often(self, service: str, times: int) -> list[int]:
        """So many requests at once that need the tables; their statuses."""
        app, path = {
            "gateway": (self.gateway, "/v1/me"),
            "syncer": (self.syncer, f"/v1/sync/libraries/{LIBRARY}/changes"),
        }[service]
        token = Tokens((KEY,), self.clock).issue(Caller(ALICE, LAPTOP))
        async with TestClient(TestServer(app)) as client:

            async def one() -> int:
                async with client.get(path, headers={"Authorization": f"Bearer {token}"}) as answer:
                    return answer.status

            return await asyncio.gather(*(one() for _ in range(times)))

    async def close(self) -> None:
        for life in self._lives.values():
            life.cancel()
        await asyncio.gather(*self._lives.values(), return_exceptions=True)

    # -- what the operator sees

    async def look(self) -> Look:
        return await Looking(self.ports()).look()

    async def firing(self) -> list[str]:
        look = await self.look()
        assert look.unseen == ()
        return [one.alarm.name for one in look.firing]

    # -- the services

    def _tables(self, service: str) -> FaultyTables:
        return FaultyTables(self.tables, self.plan(f"tables of {service}"))

    def _gateway(self) -> list[Part]:
        tables, metrics = self._tables("gateway"), Metrics("gateway")
        cache = FaultyCache(self.cache, self.plan("cache"))
        ports = GatewayPorts(tables, self.objects, self.queues, cache, MemoryCredentials(self.clock), self.clock)
        self.gateway = make_gateway(
            ports, Keys(KEYS, (KEY,), (KEY,)), public_url=PUBLIC_URL, metrics=metrics, rates=UNLIMITED_RATES
        )
        told = measures_of_requests(metrics) + measures_of_surroundings(self.clock, cache=cache, calls=None)
        return [Pulse(metrics, tables, self.clock, told)]

    def _metadata(self) -> Sequence[Part]:
        return metadata.parts(
            tables=self._tables("metadata"),
            objects=FaultyObjects(self.objects, self.plan("objects")),
            queues=self.queues,
            topic=FaultyTopic(self.topic, self.plan("topic")),
            cache=FaultyCache(self.cache, self.plan("cache")),
            clock=self.clock,
            keys=KEYS,
            metrics=Metrics("metadata"),
            sweep_interval_s=SWEEP_S,
            free_after_s=10**6,
        )

    def _syncer(self) -> list[Part]:
        cache = FaultyCache(self.cache, self.plan("cache"))
        objects = FaultyObjects(self.objects, self.plan("objects"))
        ports = SyncerPorts(self._tables("syncer"), objects, self.queues, cache, self.clock)
        syncer = make_syncer(ports, token_keys=[KEY], public_url=PUBLIC_URL, rates=UNLIMITED_RATES)
        self.syncer = syncer.app
        return [syncer.pulse, syncer.hub, syncer.archiver, syncer.consumer]

    def _notifier(self) -> list[Part]:
        cache = FaultyCache(self.cache, self.plan("cache"))
        mailer = FaultyMailer(self.mailer, self.plan("mail"))
        ports = NotifierPorts(self._tables("notifier"), self.queues, mailer, self.clock, cache=cache)
        notifier = make_notifier(
            ports,
            link_keys=[KEY],
            public_url=PUBLIC_URL,
            mail_from="Syncline <mail@sync.example.org>",
            window_s=120,
            mail_events_raw=True,
        )
        queues = [notifier.consumer, notifier.letters, notifier.returns]
        return [notifier.pulse, notifier.sender, notifier.deliverer, notifier.announcer, *queues]


@asynccontextmanager
async def a_stack(*, allowed: SendRate = FAST) -> AsyncIterator[Stack]:
    stack = await Stack(allowed=allowed).begin()
    try:
        yield stack
    finally:
        await stack.close()
