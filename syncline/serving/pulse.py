"""The pulse: an instance says every ``PULSE_S`` that it lives, and how it does.

It goes to the table, where ``syncline-admin health`` sees it, and to the log, of which CloudWatch makes metrics
(``syncline/domain/figures.py``). A pulse that cannot be written ends nothing: it is logged, and missed by who reads.
"""

from __future__ import annotations

import asyncio
import math
import re
import secrets
import socket
from collections.abc import Callable, Mapping, Sequence

from prometheus_client import Gauge as PrometheusGauge

from syncline import __version__
from syncline.domain.alarms import REQUESTS_LEAST
from syncline.domain.errors import SynclineError
from syncline.domain.figures import PULSE_S, State
from syncline.domain.health import Instance
from syncline.ports.cache import Cache
from syncline.ports.clock import Clock
from syncline.ports.tables import Tables
from syncline.serving.aws_calls import AwsCalls
from syncline.serving.consumer import Consumer
from syncline.serving.http import UNLOGGED
from syncline.serving.logging import get_logger
from syncline.serving.measures import Count, Gauge, Labels, Measure, Percentile, Tallies, buckets, total
from syncline.serving.metrics import Metrics
from syncline.serving.sync_routes import HEADS
from syncline.store.pulses import Pulses

WRITE_S_MAX = 8.0
"""For one pulse; a part that stops has 10 s (``life.STOP_S_MAX``)."""
_CACHE_WINDOW_S = 60
_QUEUE_AGE = re.compile(r"queue_(\w+)_age_s")


class Pulse:
    """A part of every service's life. Put it first: then it tells of the others' starting and draining."""

    def __init__(
        self,
        metrics: Metrics,
        tables: Tables,
        clock: Clock,
        measures: Sequence[Measure],
        *,
        calls: AwsCalls | None = None,
        instance: str = "",
    ) -> None:
        self._service = metrics.service
        self._instance = instance or f"{socket.gethostname()[:40]}-{secrets.token_hex(3)}"
        self._pulses = Pulses(tables)
        self._clock = clock
        self._calls = calls
        self._tallies = Tallies(measures)
        self._shown = Shown(metrics, [one.name for one in measures if isinstance(one, Gauge)])
        self._started_at_ms = clock.now_ms()
        self._draining = asyncio.Event()
        self._missed = metrics.counter("pulses_missed", "Pulses that could not be written.")

    async def start(self) -> None:
        await self.beat(State.STARTING)

    async def run(self) -> None:
        while not self._draining.is_set():
            await self.beat(State.READY)
            await self._rest()
        await self.beat(State.DRAINING)

    async def drain(self) -> None:
        self._draining.set()

    async def stop(self) -> None:
        self._draining.set()
        await self.beat(State.STOPPED)

    async def beat(self, state: State) -> None:
        """One pulse. Never raises what the next one may mend."""
        window, since = await self._tallies.take()
        self._shown.set(since)
        log = get_logger(instance=self._instance)
        log.info("pulse", state=state.value, version=__version__, measures=since)
        # By AWS's clock: whoever reads it has another one than this instance.
        ahead_ms = int(1000 * ((self._calls and self._calls.clock_ahead_s) or 0))
        at_ms, started_at_ms = self._clock.now_ms() - ahead_ms, self._started_at_ms - ahead_ms
        told = Instance(self._service, self._instance, __version__, state, started_at_ms, at_ms, window)
        try:
            async with asyncio.timeout(WRITE_S_MAX):
                await self._pulses.beat(told)
        except (SynclineError, TimeoutError) as error:
            self._missed.inc()
            log.warning("pulse-missed", reason=f"{type(error).__name__}: {error}"[:200])

    async def _rest(self) -> None:
        waits = [asyncio.ensure_future(self._clock.sleep(PULSE_S)), asyncio.ensure_future(self._draining.wait())]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()


class Shown:
    """What a pulse knows as of now, on ``/metrics`` too, in Prometheus's words: seconds, and queues as labels."""

    def __init__(self, metrics: Metrics, measures: Sequence[str]) -> None:
        self._gauges: dict[str, PrometheusGauge] = {}
        ages = None
        for measure in measures:
            if found := _QUEUE_AGE.fullmatch(measure):
                ages = ages or metrics.gauge(
                    "queue_age_seconds", "Age of the oldest message met, at the pulse.", ("queue",)
                )
                self._gauges[measure] = ages.labels(found[1])
            else:
                name = re.sub(r"_s$", "_seconds", measure)
                self._gauges[measure] = metrics.gauge(f"pulse_{name}", f"The measure {measure} of the last pulse.")

    def set(self, told: Mapping[str, float]) -> None:
        for measure, gauge in self._gauges.items():
            gauge.set(told.get(measure, math.nan))


# -- what every service measures


def measures_of_requests(metrics: Metrics) -> list[Measure]:
    """Without those that ask how the service is, and those that are held on purpose."""

    def counts(labels: Labels) -> bool:
        return labels["route"] not in UNLOGGED

    def failed(labels: Labels) -> bool:
        return counts(labels) and labels["status"].startswith("5")

    def timed(labels: Labels) -> bool:
        return counts(labels) and labels["route"] != HEADS.path

    return [
        Count("requests", total(metrics.requests, counts)),
        Count("answers_5xx", total(metrics.requests, failed)),
        Percentile("request_p99_s", buckets(metrics.request_seconds, timed), least=REQUESTS_LEAST),
    ]


def measures_of_queue(consumer: Consumer, metrics: Metrics, clock: Clock) -> list[Measure]:
    """What its consumer knows of a queue."""
    queue = consumer.queue.value

    def of(*results: str) -> Callable[[], float]:
        return total(metrics.messages, lambda labels: labels["queue"] == queue and labels["result"] in results)

    async def age_s() -> float:
        return consumer.ages.oldest_s(clock.now_ms())

    return [
        Gauge(f"queue_{queue}_age_s", age_s),
        Count(f"queue_{queue}_done", of("done")),
        Count(f"queue_{queue}_failed", of("retry", "set-aside")),
    ]


def measures_of_surroundings(clock: Clock, *, cache: Cache | None, calls: AwsCalls | None) -> list[Measure]:
    """Redis, and AWS as it answers."""
    found: list[Measure] = []
    if cache is not None:
        found.append(Gauge("cache_away_s", _CacheAway(cache, clock).seconds))
    if calls is not None:

        async def clock_off_s() -> float | None:
            return None if calls.clock_ahead_s is None else abs(calls.clock_ahead_s)

        found += [Count("aws_throttles", total(calls.throttles)), Gauge("clock_off_s", clock_off_s)]
    return found


class _CacheAway:
    """For how long Redis has not answered, asked once a pulse."""

    def __init__(self, cache: Cache, clock: Clock) -> None:
        self._cache = cache
        self._clock = clock
        self._answered_ms = clock.now_ms()

    async def seconds(self) -> float:
        now_ms = self._clock.now_ms()
        if await self._cache.count("pulse", window_s=_CACHE_WINDOW_S) is not None:
            self._answered_ms = now_ms
        return max(0, now_ms - self._answered_ms) / 1000
